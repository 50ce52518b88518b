// Package await is how tests wait: for events, with a limit that a busy machine
// never reaches, and never by sleeping for a guessed time.
package await

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// Patience is how long anything may take on a busy machine.
const Patience = 60 * time.Second

const pollEvery = 5 * time.Millisecond

// Value returns the next value of a channel; a closed one fails the test.
func Value[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v, open := <-from:
		if !open {
			t.Fatalf("the end instead of %s", what)
		}
		return v
	case <-time.After(Patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// True polls until a condition holds.
func True(t testing.TB, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for end := time.Now().Add(Patience); !holds(); <-poll.C {
		if time.Now().After(end) {
			t.Fatalf("never %s", what)
		}
	}
}

// LeavesNothing fails the test if it leaves a goroutine behind. Call it first.
func LeavesNothing(t testing.TB) {
	t.Helper()
	before, _ := goroutines()
	t.Cleanup(func() {
		poll := time.NewTicker(pollEvery)
		defer poll.Stop()
		for end := time.Now().Add(Patience); ; <-poll.C {
			after, stacks := goroutines()
			if after <= before {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d goroutines before, %d after:\n%s", before, after, stacks)
			}
		}
	})
}

// goroutines counts all but the one that fasthttp starts once in a process, to
// keep the date of its answers.
func goroutines() (n int, stacks string) {
	buf := make([]byte, 1<<20)
	stacks = string(buf[:runtime.Stack(buf, true)])
	return strings.Count(stacks, "\ngoroutine ") - strings.Count(stacks, "created by github.com/valyala/fasthttp.updateServerDate"), stacks
}
