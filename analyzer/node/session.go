package node

import (
	"net"
	"time"

	"sluice/analyzer/analysis"
	"sluice/analyzer/receive"
	"sluice/analyzer/record"
)

// session consumes one connection: it collects the lines and the counts of a
// batch, and Flush hands them on. Owned by the connection's worker.
type session struct {
	node     *Node
	shard    *analysis.Shard
	receipts []byte
	output   []byte
}

func (n *Node) newSession(net.Addr) receive.Session {
	return &session{node: n, shard: n.analysis.NewShard()}
}

func (s *session) Packet(p *receive.Packet) error {
	s.shard.Packet(p.ID, p.AgentID, p.Body, p.WireBytes)
	if s.node.receipts != nil {
		s.receipts = record.AppendReceipt(s.receipts, p.ID)
	}
	if s.node.output != nil {
		s.output = record.AppendMessages(s.output, p.ID, p.AgentID, p.Body, p.Received)
	}
	return nil
}

func (s *session) Invalid(error) { s.node.analysis.Invalid() }

// Flush writes the output before the receipts: a receipt promises that the
// messages are there. What was not written is dropped here, because its NACK
// sends it elsewhere or back to us.
func (s *session) Flush() error {
	err := s.write()
	s.receipts, s.output = s.receipts[:0], s.output[:0]
	if err != nil {
		s.shard.Drop()
		return err
	}
	s.shard.Merge(time.Now())
	return nil
}

func (s *session) write() error {
	if f := s.node.output; f != nil {
		if err := f.Append(s.output); err != nil {
			return err
		}
	}
	if f := s.node.receipts; f != nil {
		return f.Append(s.receipts)
	}
	return nil
}

func (s *session) End() {}
