// Package streams tries the programs with standard output and standard error in
// the states that they get into in the field, and with signals in the numbers
// and orders in which they come.
package streams

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/await"
)

var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "sluice-streams"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	out, err := exec.Command("go", "build", "-o", bin+"/", "sluice/server", "sluice/analyzer", "sluice/agent", "sluice/loadgen", "sluice/demo").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A stream is a state that standard output or standard error is in.
type stream struct {
	name string
	open func(*testing.T) *os.File
}

var badStreams = []stream{
	{"gone", gone}, {"stalled", stalled}, {"full", full}, {"closed", func(*testing.T) *os.File { return nil }},
}

// gone is a pipe whose reader has ended.
func gone(t *testing.T) *os.File {
	r, w := pipe(t)
	r.Close()
	return w
}

// stalled is a full pipe whose reader does not read.
func stalled(t *testing.T) *os.File {
	_, w := pipe(t)
	fill(t, w)
	return w
}

// full is a disk without room.
func full(t *testing.T) *os.File {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// fill writes into a pipe until it is full. By a description of its own:
// whether writes block belongs to that, and the program's own are to block.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for size := 4096; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = syscall.Write(fd, bytes.Repeat([]byte{'\n'}, size))
		}
		if !errors.Is(err, syscall.EAGAIN) {
			t.Fatal(err)
		}
	}
}

// A process is a program that runs.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start runs a program. A stream that is nil is closed; the environment is
// empty but for PATH.
func start(t *testing.T, stdout, stderr *os.File, name string, args ...string) *process {
	t.Helper()
	// The shell closes what has no file, and the program takes its place.
	script := `exec "$0" "$@"`
	if stdout == nil {
		script += " >&-"
	}
	if stderr == nil {
		script += " 2>&-"
	}
	p := &process{t: t, done: make(chan struct{})}
	p.cmd = exec.Command("/bin/sh", append([]string{"-c", script, filepath.Join(bin, name)}, args...)...)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
}

// exit waits for the end; a death by a signal is 128 more than its number.
func (p *process) exit() int {
	p.t.Helper()
	await.True(p.t, filepath.Base(p.cmd.Args[3])+" has ended", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	if st := p.cmd.ProcessState.Sys().(syscall.WaitStatus); st.Signaled() {
		return 128 + int(st.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// null is where output goes that nobody looks at, and logFile one to look at.
func null(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func logFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func text(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// freeAddr is an address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func get(addr, path string) (status int, body string) {
	res, err := http.Get("http://" + addr + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

func ready(t *testing.T, addr, path string) {
	t.Helper()
	await.True(t, addr+path+" says 200", func() bool {
		status, _ := get(addr, path)
		return status == http.StatusOK
	})
}

// ingest posts one packet and returns the status.
func ingest(t *testing.T, addr, query, id string) int {
	t.Helper()
	body := fmt.Sprintf(`{"packet_id":%q,"agent_id":"a","messages":[{"timestamp":"2026-01-02T03:04:05Z","level":"INFO","source":"s","message":"m"}]}`, id)
	res, err := http.Post("http://"+addr+"/ingest"+query, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// analyzer runs one and returns its addresses.
func analyzer(t *testing.T, stderr *os.File, args ...string) (p *process, addr, web string) {
	t.Helper()
	addr, web = freeAddr(t), freeAddr(t)
	p = start(t, null(t), stderr, "analyzer", append([]string{"--listen", addr, "--http", web, "--log-level", "debug"}, args...)...)
	ready(t, web, "/health")
	return p, addr, web
}

// distributor runs one before analyzers, and waits until it takes packets.
func distributor(t *testing.T, stderr *os.File, letters string, analyzers []string, args ...string) (p *process, addr, web string) {
	t.Helper()
	addr, web = freeAddr(t), freeAddr(t)
	for i, a := range analyzers {
		analyzers[i] = fmt.Sprintf("a%d=tcp://%s", i, a)
	}
	args = append([]string{"--listen", addr, "--http", web, "--dead-letter-dir", letters}, args...)
	if len(analyzers) > 0 {
		args = append(args, "--analyzers", strings.Join(analyzers, ","))
	}
	p = start(t, null(t), stderr, "server", args...)
	ready(t, web, "/readyz")
	return p, addr, web
}
