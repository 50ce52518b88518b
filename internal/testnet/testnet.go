// Package testnet runs a test in a network of its own, where it may have the
// name servers, routes, rates and losses that it needs and disturbs nobody.
package testnet

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inside names the test that runs in a network of its own.
const inside = "SLUICE_TEST_NETWORK"

// Own runs the calling test again in network and mount namespaces of its own,
// and returns true there. Outside it returns false when that run has ended; the
// test must then return. It skips where the system or the user may not make
// namespaces, or one of the tools is missing.
func Own(t *testing.T, tools ...string) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		Run(t, "ip", "link", "set", "lo", "up")
		return true
	}
	if testing.Short() {
		t.Skip("a network of its own takes seconds")
	}
	for _, tool := range append([]string{"unshare", "ip", "mount"}, tools...) {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: this test needs %s: %v", tool, err)
		}
	}
	if out, err := exec.Command("unshare", "-n", "-m", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this test needs a network namespace, and so root: %v: %s", err, out)
	}
	again := exec.CommandContext(t.Context(), "unshare", "-n", "-m", os.Args[0],
		"-test.run", "^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.count", "1", "-test.v", "-test.timeout", "5m")
	again.Env = append(os.Environ(), inside+"="+t.Name())
	again.WaitDelay = 5 * time.Second
	out, err := again.CombinedOutput()
	t.Logf("in a network of its own:\n%s", out)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Fail()
	case err != nil:
		t.Fatal(err)
	}
	return false
}

// Run runs a command that must succeed.
func Run(t testing.TB, command string, args ...string) {
	t.Helper()
	if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
}

// Resolvers makes the resolver of this network ask these name servers, in this
// order, and know no names without asking.
func Resolvers(t testing.TB, addrs ...string) {
	t.Helper()
	conf := ""
	for _, a := range addrs {
		conf += "nameserver " + a + "\n"
	}
	for path, text := range map[string]string{"/etc/resolv.conf": conf, "/etc/hosts": "127.0.0.1 localhost\n"} {
		own := filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		Run(t, "mount", "--bind", own, path)
	}
}

// Peer makes a second network that is joined to this one by a wire, and returns
// what to put before a command to run it there. This end is 10.8.0.1, the other
// end 10.8.0.2; the interfaces are called near and far.
func Peer(t testing.TB) (there []string) {
	t.Helper()
	holder := exec.Command("unshare", "-n", "sleep", "1000")
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait() })
	pid := strconv.Itoa(holder.Process.Pid)
	there = []string{"nsenter", "-t", pid, "-n"}
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if theirs, err := os.Readlink("/proc/" + pid + "/ns/net"); err == nil && theirs != ours {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no second network")
		}
	}
	Run(t, "ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
	Run(t, "ip", "link", "set", "far", "netns", pid)
	Run(t, "ip", "addr", "add", "10.8.0.1/24", "dev", "near")
	Run(t, "ip", "link", "set", "near", "up")
	for _, command := range []string{"ip link set lo up", "ip addr add 10.8.0.2/24 dev far", "ip link set far up"} {
		in := append(there[:len(there):len(there)], strings.Fields(command)...)
		Run(t, in[0], in[1:]...)
	}
	return there
}
