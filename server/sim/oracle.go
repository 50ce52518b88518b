package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"sluice/protocol"
)

// packetID names a packet of the world. It is the packet_id on the wire, as
// four bytes.
type packetID uint32

// noPacket stands for a data frame that is no packet.
const noPacket packetID = 1<<32 - 1

// fate is what the packet's maker has been told.
type fate uint8

const (
	fateOpen      fate = iota // nothing yet
	fateDelivered             // an ACK without a NACK, or 200
	fateRefused               // it must never be sent again
	fateHeld                  // 202: the distributor answers for it
	fateForgotten             // its maker died first
)

const (
	markLied    uint8 = 1 << iota // an analyzer acknowledged it and had not handled it
	markFinal                     // an analyzer refused it for ever
	markExcused                   // held in the memory of a distributor that crashed
	markHeard                     // a distributor has heard that an analyzer refuses it for ever
)

// packet is what the oracle knows of one packet.
type packet struct {
	source int32  // index in oracle.sources
	copies uint16 // receipts
	allow  uint16 // receipts that the history so far can explain
	sends  uint16 // admissions asked for
	writes uint16 // to links
	class  uint8
	fate   fate
	marks  uint8
}

// source is a maker of packets: frames by class, of which only the id differs.
type source struct {
	name   string
	frames [][]byte
}

// oracle knows everything, and forgets nothing when processes die. Owned by
// the world.
type oracle struct {
	w       *World
	packets []packet
	sources []*source

	delivered, refused, held, forgotten, duplicates, excused int

	watch *stopwatch // nil, unless times are to be measured
}

// stopwatch measures the time from a packet's making to its acknowledgement.
// Owned by the world.
type stopwatch struct {
	made []time.Duration // by packet
	took []time.Duration // of those that were acknowledged since the last reset
}

// Violation is what a run fails with: an invariant did not hold. Immutable.
type Violation struct {
	At     time.Duration // virtual
	Step   uint64
	Reason string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("at %v, step %d: %s", v.At, v.Step, v.Reason)
}

// fail ends the run.
func (w *World) fail(format string, args ...any) {
	panic(&Violation{At: w.now, Step: w.steps, Reason: fmt.Sprintf(format, args...)})
}

// Where the id lies in a frame: header, map head, key, str head.
const (
	idAt    = protocol.HeaderSize + 1 + len("\xa9packet_id") + 1
	idEnd   = idAt + 4
	idProbe = "\x00\x00\x00\x00"
)

// newSource makes the frames of a maker, one for each number of bytes of text.
func (o *oracle) newSource(name string, sizes []int) int32 {
	s := &source{name: name}
	for _, size := range sizes {
		p := protocol.LogPacket{PacketID: idProbe, AgentID: name}
		if size > 0 {
			p.Messages = []protocol.LogMessage{{Level: protocol.LevelInfo, Source: "sim", Message: strings.Repeat("x", size)}}
		}
		s.frames = append(s.frames, protocol.AppendFrame(nil, protocol.AppendPacket(nil, &p)))
	}
	o.sources = append(o.sources, s)
	return int32(len(o.sources) - 1)
}

// make begins the life of a packet.
func (o *oracle) make(source int32, class uint8) packetID {
	o.packets = append(o.packets, packet{source: source, class: class, allow: 1})
	if o.watch != nil {
		o.watch.made = append(o.watch.made, o.w.now)
	}
	return packetID(len(o.packets) - 1)
}

// size is the length of a packet's frame, header included.
func (o *oracle) size(id packetID) int {
	p := &o.packets[id]
	return len(o.sources[p.source].frames[p.class])
}

// appendFrame appends a packet's frame.
func (o *oracle) appendFrame(dst []byte, id packetID) []byte {
	p := &o.packets[id]
	at := len(dst)
	dst = append(dst, o.sources[p.source].frames[p.class]...)
	binary.BigEndian.PutUint32(dst[at+idAt:], uint32(id))
	return dst
}

// identify reads the id of a frame and checks that the frame is what its maker
// sent, byte for byte.
func (o *oracle) identify(frame []byte, where string) packetID {
	if len(frame) < idEnd {
		o.w.fail("%s: a frame of %d bytes is no packet: %x", where, len(frame), frame)
	}
	id := packetID(binary.BigEndian.Uint32(frame[idAt:]))
	if int(id) >= len(o.packets) {
		o.w.fail("%s: frame of an unknown packet %d", where, id)
	}
	p := &o.packets[id]
	want := o.sources[p.source].frames[p.class]
	if len(want) != len(frame) || !bytes.Equal(want[:idAt], frame[:idAt]) || !bytes.Equal(want[idEnd:], frame[idEnd:]) {
		o.w.fail("%s: the frame of packet %d was changed on its way", where, id)
	}
	return id
}

// excuse allows one more copy of a packet.
func (o *oracle) excuse(id packetID) {
	if id != noPacket {
		o.packets[id].allow++
	}
}

// sent records that a packet is given to a distributor.
func (o *oracle) sent(id packetID) { o.packets[id].sends++ }

// unsent takes that back: the distributor has not taken it.
func (o *oracle) unsent(id packetID) { o.packets[id].sends-- }

// written records that a packet is written to a link.
func (o *oracle) written(id packetID, where string) {
	p := &o.packets[id]
	p.writes++
	if most := int(p.sends) * (o.w.knobs.core.MaxRetries + 1); int(p.writes) > most {
		o.w.fail("%s: packet %d was handed over %d times, and %d is the limit", where, id, p.writes, most)
	}
	if p.marks&markHeard != 0 && p.allow == 1 && p.sends == 1 {
		o.w.fail("%s: packet %d was refused for ever, and is handed over again", where, id)
	}
}

// receipt records that an analyzer handled a packet.
func (o *oracle) receipt(id packetID, by string) {
	p := &o.packets[id]
	p.copies++
	if p.copies > 1 {
		o.duplicates++
	}
	if p.copies > p.allow {
		o.w.fail("%s handles packet %d of %s for the %d. time, and only %d can be explained", by, id, o.name(id), p.copies, p.allow)
	}
}

func (o *oracle) name(id packetID) string { return o.sources[o.packets[id].source].name }

// mustHave fails if a packet that somebody is told was delivered has no receipt.
func (o *oracle) mustHave(id packetID, told string) {
	if p := &o.packets[id]; p.copies == 0 && p.marks&markLied == 0 {
		o.w.fail("packet %d of %s is lost: %s is told that it was delivered, and no analyzer has a receipt", id, o.name(id), told)
	}
}

// acknowledged records that a packet's maker was told of its delivery.
func (o *oracle) acknowledged(id packetID, told string) {
	o.mustHave(id, told)
	o.settle(id, fateDelivered, told)
	o.delivered++
	if o.watch != nil {
		o.watch.took = append(o.watch.took, o.w.now-o.watch.made[id])
	}
}

// refusedFor records that a packet's maker was told never to send it again.
func (o *oracle) refusedFor(id packetID, code protocol.NackCode, told string) {
	if o.packets[id].marks&markFinal == 0 {
		o.w.fail("%s hears %v for packet %d, which is valid, and no analyzer refused it", told, code, id)
	}
	o.settle(id, fateRefused, told)
	o.refused++
}

// accepted records that a distributor answers for a packet: 202.
func (o *oracle) accepted(id packetID, told string) {
	o.settle(id, fateHeld, told)
	o.held++
}

// forget records that a packet's maker died.
func (o *oracle) forget(id packetID) {
	o.settle(id, fateForgotten, "the dead")
	o.forgotten++
}

func (o *oracle) settle(id packetID, f fate, told string) {
	if p := &o.packets[id]; p.fate != fateOpen {
		o.w.fail("packet %d of %s gets a second fate %d at %s, after %d", id, o.name(id), f, told, p.fate)
	}
	o.packets[id].fate = f
}

// lost records that a distributor crashed with a packet it had answered 202
// for in its memory: the one loss that is allowed.
func (o *oracle) lost(id packetID) {
	if p := &o.packets[id]; p.fate == fateHeld && p.marks&markExcused == 0 {
		p.marks |= markExcused
		o.excused++
	}
}

// mark notes what an analyzer did wrong with a packet.
func (o *oracle) mark(id packetID, m uint8) { o.packets[id].marks |= m }

// final checks that at the end of a run every packet has had its fate.
func (o *oracle) final() {
	for i := range o.packets {
		p, id := &o.packets[i], packetID(i)
		switch p.fate {
		case fateOpen:
			o.w.fail("packet %d of %s has no fate", id, o.name(id))
		case fateDelivered:
			o.mustHave(id, "its maker")
		case fateHeld:
			if p.copies == 0 && p.marks == 0 {
				o.w.fail("packet %d of %s is lost: it was accepted (202), its distributor did not crash, and no analyzer has a receipt", id, o.name(id))
			}
		}
	}
}
