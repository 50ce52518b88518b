// Package oracle remembers what agents issued and what was answered, and judges
// by the receipts of analyzers what became of it. It knows of no distributor:
// what is acknowledged and in no receipts was lost, whatever a program counts.
package oracle

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// fate is what an agent was told of one packet.
type fate uint8

const (
	open      fate = iota // issued, no answer yet
	acked                 // answered: delivered
	refused               // answered: never will be
	forgotten             // its agent died, or left without waiting
)

// Oracle knows what every agent issued and what it was told. It lives in the
// harness, which no fault hits. Safe for concurrent use.
type Oracle struct {
	issued, acked, answered atomic.Int64

	mu    sync.Mutex
	books []*Book
}

// Book is one agent's part of the oracle. Safe for concurrent use.
type Book struct {
	Agent int

	delivered atomic.Int64

	oracle  *Oracle
	journal *os.File // of an agent in a process of its own; nil: none
	mu      sync.Mutex
	fates   []fate
	low     int      // everything before it is answered
	faults  []string // what the agent saw that must never be
	count   int      // of faults, all of them
}

// NewBook opens the book of another agent.
func (o *Oracle) NewBook() *Book {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := &Book{Agent: len(o.books), oracle: o}
	o.books = append(o.books, b)
	return b
}

func (o *Oracle) all() []*Book {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]*Book(nil), o.books...)
}

// Issued, Acked and Open count packets over all agents. Open ones wait for an
// answer.
func (o *Oracle) Issued() int { return int(o.issued.Load()) }

// Acked counts the packets that were reported delivered.
func (o *Oracle) Acked() int { return int(o.acked.Load()) }

// Open counts the packets without an answer.
func (o *Oracle) Open() int { return int(o.issued.Load() - o.answered.Load()) }

// Mark is a moment: what had been issued then.
type Mark []int

// Mark notes the moment.
func (o *Oracle) Mark() Mark {
	var m Mark
	for _, b := range o.all() {
		b.mu.Lock()
		m = append(m, len(b.fates))
		b.mu.Unlock()
	}
	return m
}

// Settled says whether everything that had been issued at a moment is answered.
func (o *Oracle) Settled(m Mark) bool {
	for i, b := range o.all()[:len(m)] {
		b.mu.Lock()
		settled := b.low >= m[i]
		b.mu.Unlock()
		if !settled {
			return false
		}
	}
	return true
}

// Issue makes the agent's next packet.
func (b *Book) Issue() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fates = append(b.fates, open)
	b.oracle.issued.Add(1)
	b.note('i', len(b.fates)-1)
	return len(b.fates) - 1
}

// Withdraw takes back the packet that was issued last, because nobody took it.
func (b *Book) Withdraw(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n == len(b.fates)-1 && b.fates[n] == open {
		b.fates = b.fates[:n]
		b.oracle.issued.Add(-1)
	}
}

// Acked notes that packet n was reported delivered.
func (b *Book) Acked(n int) {
	if b.answer(n, acked) {
		b.oracle.acked.Add(1)
		b.delivered.Add(1)
		b.note('a', n)
	}
}

// Delivered counts the packets that were answered: delivered.
func (b *Book) Delivered() int { return int(b.delivered.Load()) }

// Refused notes that packet n got an answer that it will not be delivered. No
// scenario expects one of a packet that is sound.
func (b *Book) Refused(n int, why string) {
	if b.answer(n, refused) {
		b.Fault("packet %d was refused: %s", n, why)
	}
}

// Forget notes that nobody waits for an answer to packet n any more.
func (b *Book) Forget(n int) { b.answer(n, forgotten) }

func (b *Book) answer(n int, f fate) bool {
	b.mu.Lock()
	if n < 0 || n >= len(b.fates) || b.fates[n] != open {
		b.mu.Unlock()
		b.Fault("packet %d was answered twice, or never issued", n)
		return false
	}
	b.fates[n] = f
	for b.low < len(b.fates) && b.fates[b.low] != open {
		b.low++
	}
	b.mu.Unlock()
	b.oracle.answered.Add(1)
	return true
}

// Fault notes something that must never be: an answer to a frame that was not
// sent, a second answer, garbage.
func (b *Book) Fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count++; len(b.faults) < 5 {
		b.faults = append(b.faults, fmt.Sprintf("agent %d: %s", b.Agent, fmt.Sprintf(format, args...)))
	}
}

// Faults returns how often agents saw what must never be, and some of it.
func (o *Oracle) Faults() (count int, some []string) {
	for _, b := range o.all() {
		b.mu.Lock()
		count += b.count
		some = append(some, b.faults...)
		b.mu.Unlock()
	}
	return count, some[:min(len(some), 8)]
}
