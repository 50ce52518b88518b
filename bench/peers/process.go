package main

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

// stopLimit is how long a process may take to end after SIGTERM.
const stopLimit = 20 * time.Second

// process is a program that was started here and will be stopped here.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when it has ended
	once sync.Once
}

// startProcess starts a program; what it says goes to dir/name.log. The caller
// may have set Stdin and Stdout of cmd.
func startProcess(dir, name string, cmd *exec.Cmd) (*process, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.Stderr = log
	// A group of its own: a Ctrl-C is for us, who then stop them in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		log.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended returns an error if the process has ended by itself.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended (%v); it said:\n%s", p.name, p.cmd.ProcessState, p.lastWords())
	default:
		return nil
	}
}

// lastWords are the end of what it logged.
func (p *process) lastWords() []byte {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(text[max(0, len(text)-2000):])
}

// stop ends the process, in an orderly way if it takes SIGTERM.
func (p *process) stop() {
	p.once.Do(func() {
		p.cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended
		select {
		case <-p.done:
		case <-time.After(stopLimit):
			fmt.Fprintf(os.Stderr, "%s does not end within %v and is killed\n", p.name, stopLimit)
			p.cmd.Process.Kill()
			<-p.done
		}
		p.log.Close()
	})
}

// processes are stopped together: first the last that was started, so that it
// does not see its peers die, then the others at once. One after the other, 32
// analyzers took longer to end than to be measured.
type processes []*process

func (ps *processes) start(dir, name string, cmd *exec.Cmd) (*process, error) {
	p, err := startProcess(dir, name, cmd)
	if err == nil {
		*ps = append(*ps, p)
	}
	return p, err
}

func (ps *processes) stop() {
	if n := len(*ps); n > 0 {
		(*ps)[n-1].stop()
		var wg sync.WaitGroup
		for _, p := range (*ps)[:n-1] {
			wg.Go(p.stop)
		}
		wg.Wait()
	}
	*ps = nil
}
