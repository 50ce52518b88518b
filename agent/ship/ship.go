package ship

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/lines"
	"sluice/client"
	"sluice/internal/rawlog"
	"sluice/protocol"
)

// Config of a Shipper.
type Config struct {
	Addrs       []string
	Agent       string
	Token       string
	Compression protocol.Compression
	MaxAge      time.Duration // of a connection; 0: any

	Memory   int // bytes; half is the client's, an eighth the raw buffers'
	Buffer   int // bytes of a raw buffer, the longest packet
	Splitter *lines.Splitter
	Location *time.Location
	Now      time.Time // gives years to all lines; zero: a packet's Before does

	Store *checkpoint.Store
	Log   *slog.Logger
}

// Bounds of the workers and of the raw buffers.
const (
	maxWorkers = 8
	minBuffers = 4
	maxBuffers = 128
)

// Counts are what a Shipper did so far.
type Counts struct {
	Packets, Bytes, Records uint64 // delivered
	Understood              uint64 // records encoded whose line was understood
	Encoded                 uint64 // records encoded
	Refused                 uint64 // packets that will never be taken as they are
	Unanswered              uint64 // packets whose end nobody told, because Close gave up
	Client                  client.Stats
}

// Shipper sends packets. Safe for concurrent use.
type Shipper struct {
	cfg     Config
	links   *links
	pace    *pace
	work    chan *Packet
	buffers chan []byte
	changed chan struct{} // something was settled, or a buffer came free

	seq      atomic.Uint64
	turn     sync.Mutex
	turnOver sync.Cond
	next     uint64

	mu      sync.Mutex
	flights map[uint64]*Packet
	settled []settled
	wake    chan struct{}
	counts  Counts

	ctx     context.Context
	giveUp  context.CancelFunc
	workers sync.WaitGroup
	ended   chan struct{} // the settler has ended
}

type settled struct {
	p *Packet
	o client.Outcome
}

// New starts a shipper that connects in the background. Close must be called.
func New(cfg Config) (*Shipper, error) {
	count := max(minBuffers, min(maxBuffers, cfg.Memory/8/cfg.Buffer))
	s := &Shipper{
		cfg: cfg, pace: newPace(cfg.Buffer), work: make(chan *Packet, count), buffers: make(chan []byte, count),
		changed: make(chan struct{}, 1), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		flights: map[uint64]*Packet{},
	}
	s.turnOver.L = &s.turn
	s.ctx, s.giveUp = context.WithCancel(context.Background())
	for range count {
		s.buffers <- nil // made when they are first used
	}
	var err error
	if s.links, err = newLinks(cfg, s.outcome); err != nil {
		return nil, err
	}
	for range min(maxWorkers, runtime.GOMAXPROCS(0)) {
		s.workers.Add(1)
		go s.encodeAll()
	}
	go s.settleAll()
	return s, nil
}

// Batch is how many raw bytes the next packet is to have, at most Config.Buffer.
// It is a wish: one record may have more.
func (s *Shipper) Batch() int { return s.pace.now(time.Now(), s.links.timedOut) }

// TryBuffer returns a raw buffer of Config.Buffer bytes, nil if none is free.
func (s *Shipper) TryBuffer() []byte {
	select {
	case b := <-s.buffers:
		return s.made(b)
	default:
		return nil
	}
}

// WaitBuffer waits for a raw buffer.
func (s *Shipper) WaitBuffer(ctx context.Context) ([]byte, error) {
	select {
	case b := <-s.buffers:
		return s.made(b), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Shipper) made(b []byte) []byte {
	if cap(b) < s.cfg.Buffer {
		return make([]byte, s.cfg.Buffer)
	}
	return b[:cap(b)]
}

// PutBuffer gives back a buffer that was not shipped. A longer one than was
// taken may be given for it; it is not kept.
func (s *Shipper) PutBuffer(b []byte) {
	if cap(b) > s.cfg.Buffer {
		b = nil
	}
	s.buffers <- b
	s.notify()
}

// Changed is sent to when a buffer came free or a packet was settled.
func (s *Shipper) Changed() <-chan struct{} { return s.changed }

func (s *Shipper) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Ship sends a packet. It does not block: each packet holds one of the buffers.
// Its owner is told the end exactly once.
func (s *Shipper) Ship(p *Packet) {
	p.seq = s.seq.Add(1) - 1
	s.work <- p
}

// encodeAll is one worker.
func (s *Shipper) encodeAll() {
	defer s.workers.Done()
	e := &encoder{agent: s.cfg.Agent, splitter: s.cfg.Splitter, now: s.cfg.Now, parser: rawlog.NewParser(s.cfg.Location, s.cfg.Now)}
	var body []byte
	for p := range s.work {
		body = e.encode(body[:0], p)
		p.Body = len(body)
		raw := p.Raw
		p.Raw = nil
		s.send(p, body, e.understood)
		s.PutBuffer(raw)
	}
}

// send waits for the packet's turn and hands its body to the client.
func (s *Shipper) send(p *Packet, body []byte, understood int) {
	s.turn.Lock()
	for s.next != p.seq {
		s.turnOver.Wait()
	}
	s.turn.Unlock()
	s.mu.Lock()
	s.flights[p.seq] = p
	p.handed = time.Now()
	s.counts.Encoded += uint64(p.Records)
	s.counts.Understood += uint64(understood)
	s.mu.Unlock()
	err := s.links.send(s.ctx, body, p.seq)
	s.turn.Lock()
	s.next++
	s.turnOver.Broadcast()
	s.turn.Unlock()
	if err != nil {
		s.outcome(p.seq, client.Outcome{Text: err.Error()})
	}
}

// outcome notes the end of a packet. The client's answers must not wait for the
// disk, so that somebody else records it.
func (s *Shipper) outcome(tag uint64, o client.Outcome) {
	s.mu.Lock()
	p := s.flights[tag]
	delete(s.flights, tag)
	if p != nil {
		s.settled = append(s.settled, settled{p, o})
		switch {
		case o.Delivered:
			s.pace.delivered(int(p.End-p.Start), time.Since(p.handed))
			s.counts.Packets++
			s.counts.Bytes += uint64(p.End - p.Start)
			s.counts.Records += uint64(p.Records)
		case o.Code == 0:
			s.counts.Unanswered++
		default:
			s.counts.Refused++
		}
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// settleAll tells owners and records what moved, all that is there in one write.
func (s *Shipper) settleAll() {
	defer close(s.ended)
	var batch []settled
	var acks []checkpoint.Ack
	for range s.wake {
		s.mu.Lock()
		batch, s.settled = s.settled, batch[:0]
		s.mu.Unlock()
		acks = acks[:0]
		for i := range batch {
			ack, moved := batch[i].p.Owner.Settled(batch[i].p, batch[i].o)
			if !moved {
				continue
			}
			// Only the last offset of a file counts.
			if i := slices.IndexFunc(acks, func(a checkpoint.Ack) bool { return a.ID == ack.ID }); i >= 0 {
				acks[i] = ack
			} else {
				acks = append(acks, ack)
			}
		}
		s.cfg.Store.Acked(acks)
		clear(batch)
		s.notify()
	}
}

// Counts returns what was done so far.
func (s *Shipper) Counts() Counts {
	s.mu.Lock()
	c := s.counts
	s.mu.Unlock()
	c.Client = s.links.stats()
	return c
}

// Close waits until everything that was shipped is settled and recorded; if ctx
// ends first, the rest stays without an answer, and the error says so. Nobody
// may ship any more.
func (s *Shipper) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.giveUp)
	defer stop()
	close(s.work)
	s.workers.Wait()
	err := s.links.close(ctx)
	s.giveUp()
	s.outcome(^uint64(0), client.Outcome{}) // a last look
	close(s.wake)
	<-s.ended
	return err
}
