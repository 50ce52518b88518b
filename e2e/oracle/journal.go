package oracle

import (
	"fmt"
	"os"
	"strconv"
)

// Journaled is the book of an agent in a process of its own, which is killed:
// each line is with the kernel before the packet is sent, or its answer counted.
func Journaled(number int, journal *os.File) *Book {
	var o Oracle
	b := &Book{Agent: number, oracle: &o, journal: journal}
	o.books = []*Book{b}
	return b
}

// note writes a line of the journal, if there is one.
func (b *Book) note(kind byte, n int) {
	if b.journal == nil {
		return
	}
	line := appendPadded([]byte{kind}, n, 9)
	if _, err := b.journal.Write(append(line, '\n')); err != nil {
		panic(fmt.Sprintf("the journal cannot be kept, so this run would say nothing: %v", err))
	}
}

// Replay takes over what a dead agent's journal says. What it had not been
// answered when it died is forgotten: nobody waits for it.
func (b *Book) Replay(path string) (acknowledged int, err error) {
	answered := map[int]bool{}
	err = eachLine(path, func(line []byte) {
		n, bad := strconv.Atoi(string(line[1:]))
		switch {
		case bad != nil || len(line) != 10: // the last line, torn
		case line[0] == 'i':
			if got := b.Issue(); got != n {
				b.Fault("its journal issues %d where %d follows", n, got)
			}
		case line[0] == 'a':
			b.Acked(n)
			answered[n] = true
		}
	})
	b.mu.Lock()
	issued := len(b.fates)
	b.mu.Unlock()
	for n := range issued {
		if !answered[n] {
			b.Forget(n)
		}
	}
	return len(answered), err
}
