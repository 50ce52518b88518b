package listener

import (
	"io"
	"net"
	"time"

	"sluice/protocol"
)

const (
	// maxLingering bounds the refused connections that are waited for, and so
	// their goroutines and descriptors. config's baseDescriptors counts them.
	maxLingering = 32
	// lingerFor and lingerBytes bound the wait for one.
	lingerFor   = time.Second
	lingerBytes = 1 << 20
)

// refuse tells a fresh connection why it is not taken, and closes it. It never
// keeps accept waiting: so few bytes go into an empty socket at once, and the
// wait for the peer to read them is for a goroutine, of which there are few.
// Where there is none to be had the close may destroy the words on their way.
func (l *Listener) refuse(c net.Conn, text string) {
	words := protocol.AppendGoaway(nil, protocol.GoawayOverload, text)
	select {
	case l.lingering <- struct{}{}:
		l.done.Go(func() {
			defer func() { <-l.lingering }()
			defer c.Close()
			if c.SetDeadline(time.Now().Add(lingerFor)) == nil {
				sayLast(c, words)
			}
		})
	default:
		if c.SetDeadline(time.Now().Add(firstPause)) == nil {
			_, _ = c.Write(words) // it is closed in any case
		}
		c.Close()
	}
}

// sayLast says the last words and reads until the peer has said that it has
// nothing more, because closing with unread input would send RST, which
// destroys them.
func sayLast(c net.Conn, words []byte) {
	if _, err := c.Write(words); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, c, lingerBytes) // how it ends is all the same
	}
}
