// Package ship makes packets of ranges of bytes, sends them, and reports which
// ranges were delivered.
//
// A packet's way: whoever reads a file takes a raw buffer from the [Shipper],
// fills it with whole records and hands it back as a [Packet]. One of a few
// workers parses and encodes it; the bodies go to the client in the order in
// which the packets came, because a receiver that keeps order can only keep the
// order it is given. The raw buffer is free again as soon as the client has the
// body. When the answer comes, the packet's [Owner] is told, and the offsets
// that moved are recorded, many in one write.
//
// Memory has two bounds and no third: the number of raw buffers, and the
// client's buffer. A distributor that takes nothing fills the client's buffer,
// then the workers wait in Send, then no raw buffer is free, and then nobody
// reads.
package ship

import (
	"slices"
	"strconv"
	"time"

	"sluice/agent/checkpoint"
	"sluice/agent/lines"
	"sluice/client"
	"sluice/internal/msgpack"
)

// Origin is what the records of one file or stream have in common. Immutable.
type Origin struct {
	ID   string // the second part of packet ids
	Name string // source of records that name none

	keys []string // of the metadata below
	meta []byte   // msgpack pairs
}

// Pair is a key and value of metadata.
type Pair struct{ Key, Value string }

// NewOrigin returns an origin whose records all carry these pairs. A later pair
// with a key that was there before is dropped.
func NewOrigin(id, name string, pairs ...Pair) *Origin {
	o := &Origin{ID: id, Name: name}
	for _, p := range pairs {
		if p.Value == "" || slices.Contains(o.keys, p.Key) {
			continue
		}
		o.keys = append(o.keys, p.Key)
		o.meta = msgpack.AppendStr(msgpack.AppendStr(o.meta, p.Key), p.Value)
	}
	return o
}

// Owner has the bytes that a packet is of.
type Owner interface {
	// Settled tells the end of a packet that was given to Ship. It returns the
	// offset that moved, if one did. It is called by one goroutine, and must
	// not block.
	Settled(p *Packet, o client.Outcome) (ack checkpoint.Ack, moved bool)
}

// Packet is a range of bytes on its way. Start, End and the origin's ID are its
// identity.
type Packet struct {
	Origin     *Origin
	Owner      Owner
	Start, End int64
	Raw        []byte          // from TakeBuffer; not to be used after Ship
	Splitter   *lines.Splitter // finds the records in Raw, as it cut them; nil: the shipper's
	Mid        bool            // Start is within a line
	Open       bool            // the last record surely goes on in the next packet
	Before     time.Time
	Read       time.Time // stands in for times that lines do not tell

	Records int // set when it was encoded
	Body    int // bytes of it
	seq     uint64
	handed  time.Time // to the client
}

// appendID writes the packet's id: agent, origin, start and end.
func (p *Packet) appendID(dst []byte, agent string) []byte {
	dst = append(append(dst, agent...), '/')
	dst = append(append(dst, p.Origin.ID...), '/')
	dst = strconv.AppendInt(dst, p.Start, 10)
	return strconv.AppendInt(append(dst, '-'), p.End, 10)
}
