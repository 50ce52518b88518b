package deadletter

import (
	"context"
	"errors"
	"fmt"
)

// Close ends deliveries, writes and fsyncs what is pending, and gives the
// folder free. If that cannot be done before ctx ends, the error says how many
// packets are lost, and why. Calling it again waits for the same end.
func (s *Store) Close(ctx context.Context) error {
	s.stop.Do(func() {
		close(s.stopping)
		s.place.shut.Store(true)
		s.replaying.Lock() // Replay has returned
		if s.delivery != nil {
			s.delivery.settle(true, nil)
		}
		s.replaying.Unlock()
		s.mu.Lock()
		s.closed = true // what comes now is too late for the last write
		s.mu.Unlock()
		s.finish <- ctx
	})
	<-s.ended
	return s.closeErr
}

// conclude is the end of the writer, after its last write.
func (s *Store) conclude(err error) {
	s.mu.Lock()
	lost := s.pending[0].packets + s.pending[1].packets
	s.mu.Unlock()
	if lost > 0 {
		s.closeErr = fmt.Errorf("deadletter: %d packets could not be written: %w", lost, err)
		s.log.Error("dead letters are lost: the folder could not be written", "packets", lost, "error", err)
	}
	s.replaying.Lock()
	if s.delivery != nil {
		s.delivery.end()
	}
	s.replaying.Unlock()
	if err := s.out.seal(); err != nil {
		s.closeErr = errors.Join(s.closeErr, err)
	}
	if s.lock != nil {
		_ = s.lock.Close() // nothing was written
	}
	s.writable.Store(false)
	close(s.ended)
}
