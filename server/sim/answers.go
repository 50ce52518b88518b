package sim

import "sluice/protocol"

// answers cuts a stream of control frames of a receiver. Owned by the world.
type answers struct {
	partial []byte
	ctl     protocol.Control
}

// feed calls each for every complete frame of the stream, until it returns
// false. An error is a malformed stream, which ends here.
func (r *answers) feed(data []byte, each func(*protocol.Control) bool) error {
	if len(r.partial) > 0 {
		r.partial = append(r.partial, data...)
		data = r.partial
	}
	for len(data) >= protocol.HeaderSize {
		size := protocol.FrameLength(data)
		if size-1 >= protocol.MaxControlFrame {
			return &protocol.LengthError{Length: size, Max: protocol.MaxControlFrame}
		}
		end := protocol.HeaderSize + int(size)
		if len(data) < end {
			break
		}
		if err := protocol.ParseControl(data[protocol.HeaderSize:end], &r.ctl); err != nil {
			return err
		}
		data = data[end:]
		if !each(&r.ctl) {
			r.partial = nil
			return nil
		}
	}
	r.partial = append(r.partial[:0], data...)
	return nil
}
