package main

import (
	"net"
	"sync"
	"testing"

	"sluice/protocol"
)

// sink is a receiver that acknowledges everything, one ACK per read.
type sink struct {
	addr string
	// judge may refuse the n-th frame of a connection; 0 accepts it.
	judge func(n uint64, id string) protocol.NackCode

	mu       sync.Mutex
	ids      map[string]int
	packed   int // frames that were compressed
	messages int
	sizes    map[int]int // bodies by size
}

func newSink(t testing.TB, keep bool) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: ln.Addr().String()}
	if keep {
		s.ids, s.sizes = map[string]int{}, map[int]int{}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return s
}

func (s *sink) serve(nc net.Conn) {
	defer nc.Close()
	frames := protocol.NewFrameReader(nc, protocol.DefaultMaxFrame)
	inspector := protocol.NewInspector(protocol.DefaultMaxFrame)
	var n, bytes, window uint64
	window = protocol.FirstCreditFrames
	var out []byte
	for {
		body, err := frames.Next()
		if err != nil {
			return
		}
		if protocol.IsControl(body[0]) {
			nc.Write(protocol.AppendWelcome(nil, protocol.Welcome{
				Version: 1, Server: "sink", Frames: window, Bytes: protocol.FirstCreditBytes, MaxFrame: protocol.DefaultMaxFrame,
				Compression: []protocol.Compression{protocol.Zstd, protocol.S2, protocol.Gzip},
			}))
			continue
		}
		n++
		bytes += uint64(protocol.HeaderSize + len(body))
		if s.ids != nil {
			if code := s.look(inspector, body, n); code != 0 {
				out = protocol.AppendNack(out, n, code, 0, "no", 1)
			}
		}
		if frames.Buffered() < protocol.HeaderSize {
			out = protocol.AppendAck(out, n, n+window, bytes+protocol.FirstCreditBytes)
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		} else if n%1000 == 0 {
			out = protocol.AppendAck(out, n, n+window, bytes+protocol.FirstCreditBytes)
			nc.Write(out)
			out = out[:0]
		}
	}
}

func (s *sink) look(inspector *protocol.Inspector, body []byte, n uint64) protocol.NackCode {
	var p protocol.Scanned
	packed := body[0]&0xf0 != 0x80
	if err := inspector.Scan(body, &p); err != nil {
		return protocol.NackInvalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.judge != nil {
		if code := s.judge(n, string(p.PacketID)); code != 0 {
			return code
		}
	}
	s.ids[string(p.PacketID)]++
	s.sizes[len(body)]++
	s.messages += p.Messages
	if packed {
		s.packed++
	}
	return 0
}
