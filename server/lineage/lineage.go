// Package lineage finds out whether a distributor feeds itself, directly or
// through others.
//
// Each distributor has an identity, drawn at start. In its HELLO a distributor
// names itself and all that feed it; in its WELCOME itself and all that it feeds.
// A loop is there as soon as one name is on both sides. The obvious way, a count
// of hops in each packet, would need packets to be rewritten, and would let the
// first ones run around.
//
// Names travel when a connection is made. So the connection that closes a loop is
// refused, whichever it is, for loops of up to three distributors; one of four or
// more can be closed by connections that were made before the names had come
// around, and is found when one of them is made again.
package lineage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"sluice/protocol"
)

// ErrLoop says that packets would come back to where they came from.
var ErrLoop = errors.New("forwarding loop")

// Lineage is what one distributor knows of those before and behind it.
// Safe for concurrent use.
type Lineage struct {
	id string

	mu        sync.Mutex
	senders   side
	receivers side
}

// side is the connections to distributors on one side. Owned by the Lineage's
// mutex.
type side struct {
	of    map[any][]string // by connection
	count map[string]int   // connections that name an identity
}

// New returns the lineage of a distributor that has just started.
func New() *Lineage {
	var raw [8]byte
	rand.Read(raw[:]) // never fails
	return &Lineage{id: hex.EncodeToString(raw[:]), senders: newSide(), receivers: newSide()}
}

func newSide() side { return side{of: make(map[any][]string), count: make(map[string]int)} }

// Via is what a HELLO says: this distributor first, then those that feed it.
func (l *Lineage) Via() []string { return l.names(&l.senders) }

// Reach is what a WELCOME says: this distributor first, then those that it feeds.
func (l *Lineage) Reach() []string { return l.names(&l.receivers) }

func (l *Lineage) names(s *side) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]string, 0, 1+len(s.count))
	for id := range s.count {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = append([]string{l.id}, ids...)
	return ids[:min(len(ids), protocol.MaxHops)]
}

// AddSender notes what a sender's HELLO said, or refuses it with an [ErrLoop]. key
// is the connection, to be given to DropSender at its end.
func (l *Lineage) AddSender(key any, via []string) error {
	return l.add(&l.senders, &l.receivers, key, via, "the sender is fed by")
}

// AddReceiver notes what a receiver's WELCOME said, or refuses it with an
// [ErrLoop]. key is the connection, to be given to DropReceiver at its end.
func (l *Lineage) AddReceiver(key any, reach []string) error {
	return l.add(&l.receivers, &l.senders, key, reach, "the receiver feeds")
}

func (l *Lineage) add(s, other *side, key any, ids []string, how string) error {
	if len(ids) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		switch {
		case id == l.id:
			return fmt.Errorf("%w: %s this distributor itself (%s)", ErrLoop, how, id)
		case other.count[id] > 0:
			return fmt.Errorf("%w: %s distributor %s, which is on the other side of this one too", ErrLoop, how, id)
		}
	}
	s.drop(key)
	s.of[key] = ids
	for _, id := range ids {
		s.count[id]++
	}
	return nil
}

// DropSender forgets a connection; one that is not known is nothing to forget.
func (l *Lineage) DropSender(key any) { l.drop(&l.senders, key) }

// DropReceiver forgets a connection; one that is not known is nothing to forget.
func (l *Lineage) DropReceiver(key any) { l.drop(&l.receivers, key) }

func (l *Lineage) drop(s *side, key any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.drop(key)
}

func (s *side) drop(key any) {
	for _, id := range s.of[key] {
		if s.count[id]--; s.count[id] == 0 {
			delete(s.count, id)
		}
	}
	delete(s.of, key)
}
