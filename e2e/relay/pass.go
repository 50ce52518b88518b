package relay

import (
	"net"
	"time"

	"sluice/protocol"
)

// parcel is what was read at once, and when it may go on.
type parcel struct {
	data []byte
	due  time.Time
}

const (
	parcelBytes = 16 << 10
	// parcels bounds what a relay holds in one direction: 256 KiB, as much as a
	// socket's buffer would.
	parcels = 16
)

// pass carries one direction until an end closes. One goroutine reads, one
// writes, so that a delay delays and does not slow down.
func (p *pair) pass(w Way) {
	from, to := p.ends[w], p.ends[1-w]
	line := make(chan parcel, parcels)
	go p.read(from, line)
	var f framer
	for {
		select {
		case <-p.gone:
			return
		case in, more := <-line:
			if !more {
				// FIN is passed on, unless the connection is in a hole.
				if p.await(w, time.Time{}) {
					if t, ok := to.(*net.TCPConn); ok {
						_ = t.CloseWrite() // of a connection that is gone: nothing to close
					}
				}
				return
			}
			if !p.await(w, in.due) || !p.write(w, to, &f, in.data) {
				p.reset()
				return
			}
		}
	}
}

func (p *pair) read(from net.Conn, line chan<- parcel) {
	defer close(line)
	for {
		buf := make([]byte, parcelBytes)
		n, err := from.Read(buf)
		if n > 0 {
			m, _ := p.relay.now()
			select {
			case line <- parcel{buf[:n], time.Now().Add(m.Delay)}:
			case <-p.gone:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// await waits until the bytes are due and there is no hole. False: the
// connection ended.
func (p *pair) await(w Way, due time.Time) bool {
	for {
		m, changed := p.relay.now()
		if m.Hole[w] {
			select {
			case <-changed:
				continue
			case <-p.gone:
				return false
			}
		}
		wait := time.Until(due)
		if wait <= 0 {
			return true
		}
		select {
		case <-time.After(wait):
		case <-p.gone:
			return false
		}
	}
}

// write passes data on as the mode wants it. False: the connection ended.
func (p *pair) write(w Way, to net.Conn, f *framer, data []byte) bool {
	m, _ := p.relay.now()
	if m.Drop != nil || f.held() {
		data = f.sift(data, func(body []byte) bool { return m.Drop != nil && m.Drop(w, body) }, &p.relay.passed[w])
	} else {
		p.relay.passed[w].Add(f.follow(data))
	}
	if p.cut[w].Load() {
		return p.writeUntilInside(w, to, f, data)
	}
	for len(data) > 0 {
		m, _ = p.relay.now() // a slow relay may be at one parcel for long
		n := m.piece(len(data))
		if m.Limit[w] > 0 {
			n = min(n, max(1, m.Limit[w]/20))
		}
		if _, err := to.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
		if m.Limit[w] > 0 {
			select {
			case <-time.After(time.Duration(n) * time.Second / time.Duration(m.Limit[w])):
			case <-p.gone:
				return false
			}
		}
	}
	return true
}

// writeUntilInside writes up to the middle of a frame; the connection is then
// reset by the caller. False: the connection is to end.
func (p *pair) writeUntilInside(w Way, to net.Conn, f *framer, data []byte) bool {
	end := len(data)
	if !f.inside() { // cut one byte before the end: inside the last frame
		end--
	}
	if end < 1 {
		return true // nothing passed yet
	}
	if _, err := to.Write(data[:end]); err == nil {
		p.relay.severed.Add(1)
	}
	return false
}

// framer follows the frames of a stream.
type framer struct {
	head [protocol.HeaderSize + 1]byte // header and first byte of the current frame
	have int                           // bytes of head that are known
	left int                           // bytes of the frame beyond head
	rest []byte                        // the cut frame that sift holds back
}

// inside says whether the stream is inside a frame.
func (f *framer) inside() bool { return f.have > 0 }

func (f *framer) held() bool { return len(f.rest) > 0 }

// follow counts the data frames that begin in data.
func (f *framer) follow(data []byte) (frames int64) {
	for len(data) > 0 {
		if f.have < len(f.head) {
			f.head[f.have] = data[0]
			data = data[1:]
			if f.have++; f.have == len(f.head) {
				f.left = max(int(protocol.FrameLength(f.head[:]))-1, 0)
				if !protocol.IsControl(f.head[protocol.HeaderSize]) {
					frames++
				}
			}
		}
		if f.have == len(f.head) {
			n := min(f.left, len(data))
			data, f.left = data[n:], f.left-n
			if f.left == 0 {
				f.have = 0
			}
		}
	}
	return frames
}

// sift takes out the frames that drop says, and holds a cut frame back. A
// frame whose beginning has passed already passes whole.
func (f *framer) sift(data []byte, drop func(body []byte) bool, passed interface{ Add(int64) int64 }) []byte {
	var out []byte
	if f.inside() && !f.held() {
		n := 0
		for n < len(data) && f.inside() {
			passed.Add(f.follow(data[n : n+1]))
			n++
		}
		out, data = append(out, data[:n]...), data[n:]
	}
	f.rest = append(f.rest, data...)
	for len(f.rest) >= protocol.HeaderSize {
		end := protocol.HeaderSize + int(protocol.FrameLength(f.rest))
		if len(f.rest) < end {
			break
		}
		if body := f.rest[protocol.HeaderSize:end]; !drop(body) {
			passed.Add(f.follow(f.rest[:end]))
			out = append(out, f.rest[:end]...)
		}
		f.rest = f.rest[end:]
	}
	return out
}
