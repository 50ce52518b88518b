package wire

import "sluice/protocol"

// resume completes the frame that the last read cut, and returns the data behind
// it.
func (a *Agent) resume(data []byte) []byte {
	if a.discard > 0 {
		n := min(a.discard, len(data))
		a.discard -= n
		return data[n:]
	}
	for len(a.partial) < protocol.HeaderSize {
		if len(data) == 0 {
			return nil
		}
		a.partial = append(a.partial, data[0])
		data = data[1:]
	}
	size := protocol.FrameLength(a.partial)
	if size-1 >= uint32(a.home.cfg.MaxFrame) {
		a.badLength()
		return nil
	}
	missing := protocol.HeaderSize + int(size) - len(a.partial)
	take := min(missing, len(data))
	if !a.growPartial(data[:take]) {
		a.refuseCut(data[:take])
		return data[take:]
	}
	if take == missing {
		a.frame(a.partial)
		a.dropPartial()
	}
	return data[take:]
}

// keepPartial keeps the received bytes of a cut frame. Its length is judged as
// soon as it is known; memory grows with what was received, not with it.
func (a *Agent) keepPartial(data []byte) {
	w := a.home
	if n := len(w.partials); n > 0 {
		a.partial = w.partials[n-1]
		w.partials = w.partials[:n-1]
		a.charged = int64(cap(a.partial))
		a.source.Charge(a.charged) // at most sparePartials of these: not worth a refusal
	}
	if len(data) >= protocol.HeaderSize {
		if size := protocol.FrameLength(data); size-1 >= uint32(w.cfg.MaxFrame) {
			a.badLength()
			return
		}
	}
	if !a.growPartial(data) {
		a.refuseCut(data)
	}
}

// growPartial appends to the cut frame, charging what the buffer grows by. False
// means that the budget is used up.
func (a *Agent) growPartial(data []byte) bool {
	need := len(a.partial) + len(data)
	if need > cap(a.partial) {
		size := max(2*cap(a.partial), need, 1024)
		grown := int64(size) - a.charged
		if !a.source.TryCharge(grown) {
			return false
		}
		a.charged += grown
		bigger := make([]byte, len(a.partial), size)
		copy(bigger, a.partial)
		a.partial = bigger
	}
	a.partial = append(a.partial, data...)
	return true
}

// dropPartial forgets a cut frame, keeping its buffer for the next one.
func (a *Agent) dropPartial() {
	if a.partial == nil {
		return
	}
	w := a.home
	a.source.Discharge(a.charged)
	if a.charged > 0 && cap(a.partial) <= sparePartialBytes && len(w.partials) < sparePartials {
		w.partials = append(w.partials, a.partial[:0])
	}
	a.partial, a.charged = nil, 0
}

// badLength answers a length that cannot be: the frame will never be accepted,
// and what follows it cannot be found.
func (a *Agent) badLength() {
	a.spoke = true
	a.home.core.Refuse(a.source, 0, protocol.NackTooLarge, "length is not 1 to the largest frame")
	a.hangUp(protocol.GoawayProtocol, "frame length is not 1 to the largest frame")
}

// refuseCut answers a cut frame, of which partial and data have arrived, that
// there is no memory for: a data frame is busy, and the rest of its body is
// discarded as it arrives. A control frame has no number to answer by, so it ends
// the connection. What is too little to tell which is held uncharged; it is at
// most a header.
func (a *Agent) refuseCut(data []byte) {
	have := len(a.partial) + len(data)
	if have <= protocol.HeaderSize {
		a.partial = append(a.partial, data...)
		return
	}
	var head [protocol.HeaderSize + 1]byte
	copy(head[copy(head[:], a.partial):], data)
	if protocol.IsControl(head[protocol.HeaderSize]) {
		a.hangUp(protocol.GoawayOverload, "out of memory budget")
		return
	}
	size := protocol.HeaderSize + int(protocol.FrameLength(head[:]))
	a.discard = size - have
	a.spoke = true
	a.dropPartial()
	a.home.core.Refuse(a.source, size, protocol.NackBusy, "out of memory budget")
}
