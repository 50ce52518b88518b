// Package receive is the receiving end of Sluice's protocol as a library: give
// it a listener and a function, and every log packet that a distributor (or an
// agent, the protocol is the same) sends is handed to that function and
// acknowledged once it has returned nil.
//
//	srv, err := receive.New(receive.Config{Name: "mine", Handler: func(p *receive.Packet) error {
//		var packet protocol.LogPacket
//		if err := p.Decode(&packet); err != nil {
//			return err
//		}
//		return store(packet)
//	}})
//	go srv.Serve(listener)
//
// What the handler returns is the answer: nil is an acknowledgement, a
// *[Refusal] is a NACK of its code, any other error (or a panic) a NACK
// unavailable, after which the sender takes the packet elsewhere. Delivery is
// at least once: a packet_id may come a second time.
//
// # Two goroutines a connection
//
// The reader takes up to 256 KiB at a time, cuts it into frames, answers PING,
// and copies the data frames that are within the credit, in one piece where it
// can, to the end of the connection's inbox. The worker swaps the inbox for an
// empty one, scans and handles what is in it, flushes, and writes one ACK.
// So a handler that is slow never keeps a PING from being answered, the socket
// is always read, and what waits is bounded by the credit that was given. The
// obvious way, handling in the reader, is a goroutine less and was not taken
// because a distributor gives up a link that is silent for a second.
package receive
