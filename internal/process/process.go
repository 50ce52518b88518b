// Package process starts programs for tests and measurements, stops them, and
// reads from /proc what they use. All that is looked at by process id is
// Linux's; elsewhere it is an error.
package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// StopLimit is how long a process may take to end after SIGTERM.
const StopLimit = 20 * time.Second

// Process is one program that runs. What it writes goes to a file, of which
// Tail shows the end. It dies with whoever started it. Safe for concurrent use.
type Process struct {
	Name string

	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// Start runs a program. What it writes goes to the end of dir/name.log, unless
// cmd has a Stdout already.
func Start(dir, name string, cmd *exec.Cmd) (*Process, error) {
	p := &Process{Name: name, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if cmd.Stdout == nil {
		cmd.Stdout = out
	}
	cmd.Stderr = out
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is kept in ProcessState
		close(p.done)
	}()
	return p, nil
}

// Isolated is a command in dir with nothing but env in its environment, so that
// the settings of whoever runs the test do not leak in.
func Isolated(dir, program string, args, env []string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// Confined has a shell prepare the process first, as with "ulimit -n 256"; then
// the program takes the shell's place, and its id. Without by, nothing changes.
func Confined(by, program string, args []string) (string, []string) {
	if by == "" {
		return program, args
	}
	return "/bin/sh", append([]string{"-c", by + ` && exec "$0" "$@"`, program}, args...)
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal; to a process that has ended it is no error.
func (p *Process) Signal(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig)
}

// Kill ends it with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop ends it with SIGTERM, and with SIGKILL if it takes longer than
// StopLimit. That is an error; that it had ended before is none.
func (p *Process) Stop() error {
	p.Signal(syscall.SIGTERM)
	if _, ok := p.ExitWithin(StopLimit); !ok {
		p.Kill()
		return fmt.Errorf("%s does not end within %v and was killed; it said:\n%s", p.Name, StopLimit, p.Tail(20))
	}
	return nil
}

// Done is closed when it has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Alive says whether it has not ended yet.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Ended returns an error that says how, if it has ended.
func (p *Process) Ended() error {
	if p.Alive() {
		return nil
	}
	return fmt.Errorf("%s ended (%v); it said:\n%s", p.Name, p.cmd.ProcessState, p.Tail(20))
}

// ExitWithin waits for the end and returns the exit code, -1 for a death by
// signal; ok is false if it did not end in time.
func (p *Process) ExitWithin(limit time.Duration) (code int, ok bool) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// Written returns all that it wrote.
func (p *Process) Written() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Tail returns the last lines that it wrote.
func (p *Process) Tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// Group is stopped together. Owned by one goroutine.
type Group []*Process

// Start runs a program as a member of the group.
func (g *Group) Start(dir, name string, cmd *exec.Cmd) (*Process, error) {
	p, err := Start(dir, name, cmd)
	if err == nil {
		*g = append(*g, p)
	}
	return p, err
}

// Stop stops first the member that was started last, so that it does not see
// its peers die, then the others at once. One after the other, 32 analyzers
// took longer to end than to be measured. What does not end is killed, and told
// on standard error.
func (g *Group) Stop() {
	stop := func(p *Process) {
		if err := p.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if n := len(*g); n > 0 {
		stop((*g)[n-1])
		var wg sync.WaitGroup
		for _, p := range (*g)[:n-1] {
			wg.Go(func() { stop(p) })
		}
		wg.Wait()
	}
	*g = nil
}
