package api

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"sluice/internal/cli"
	"sluice/protocol"
)

// ingest takes one packet. Its way: header judged, body read, inflated,
// encoded if it is JSON, scanned, submitted; what all that needed is given
// back before the wait for an analyzer begins.
func (s *Server) ingest(ctx *fasthttp.RequestCtx, late bool) {
	if late {
		s.refuse(ctx, busy(forNoConnection, "busy: too many connections; send it again later", 0))
		return
	}
	defer s.serving.Add(-1)
	if s.serving.Add(1) > s.maxServing {
		s.refuse(ctx, busy(forNoSlot, "busy: too many requests at a time; send it again later", 0))
		return
	}
	form, refused := judgeHeader(ctx)
	if refused == nil {
		refused = s.take(ctx, form)
	}
	if refused != nil {
		s.refuse(ctx, refused)
	}
}

// form is what the header says of the body. Immutable.
type form struct {
	json   bool
	coding string // "", "gzip", "zstd" or "s2"
	waits  bool
	wait   time.Duration
}

func judgeHeader(ctx *fasthttp.RequestCtx) (f form, refused *refusal) {
	if f.json = string(ctx.Request.Header.ContentType()) == "application/json"; !f.json { // as nearly all write it
		media, params, _ := strings.Cut(strings.ToLower(string(ctx.Request.Header.ContentType())), ";")
		switch strings.TrimSpace(media) {
		case "application/json", "":
			f.json = true
			if !isUTF8(params) {
				return f, unsupported("Content-Type", "must have the charset UTF-8")
			}
		case "application/msgpack":
		default:
			return f, unsupported("Content-Type", "must be application/json or application/msgpack")
		}
	}
	codings := ctx.Request.Header.PeekAll(fasthttp.HeaderContentEncoding)
	if len(codings) > 0 {
		f.coding = strings.ToLower(strings.TrimSpace(string(codings[0])))
	}
	switch f.coding {
	case "identity":
		f.coding = ""
	case "", "gzip", "zstd", "s2":
	default:
		return f, unsupported("Content-Encoding", "must be gzip, zstd or s2, or absent")
	}
	if len(codings) > 1 {
		return f, unsupported("Content-Encoding", "must be given once: one layer only")
	}
	if args := ctx.QueryArgs(); args.Has("wait") {
		var err error
		if f.wait, err = cli.Duration(string(args.Peek("wait")), 0, maxWait); err != nil {
			return f, bad("wait", "must be a duration up to 60s, such as 5s or 0.5")
		}
		f.waits = f.wait > 0
	}
	return f, nil
}

func isUTF8(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if name == "charset" && strings.Trim(value, `"`) != "utf-8" && strings.Trim(value, `"`) != "utf8" {
			return false
		}
	}
	return true
}

// take reads and submits the packet and answers. A refusal means that nothing
// was answered and nothing is owned.
func (s *Server) take(ctx *fasthttp.RequestCtx, f form) *refusal {
	var outcome chan Outcome
	var done func(Outcome)
	if f.waits {
		outcome = make(chan Outcome, 1)
		done = func(o Outcome) { outcome <- o }
	}
	packetID, refused := s.submit(ctx, f, done)
	if refused != nil {
		return refused
	}
	if !f.waits {
		accept(ctx, packetID)
		return nil
	}
	timer := time.NewTimer(f.wait)
	defer timer.Stop()
	select {
	case o := <-outcome:
		switch {
		case o.Delivered:
			reply(ctx, fasthttp.StatusOK, ingestAnswer{Status: "delivered", PacketID: packetID, Analyzer: o.Analyzer})
		case o.Kept && o.Code != protocol.NackInvalid && o.Code != protocol.NackTooLarge:
			reply(ctx, fasthttp.StatusAccepted, stillOwned(packetID, "no analyzer has acknowledged it; it is kept as a dead letter and will be delivered later"))
		default:
			return refusalOf(o.Code, 0)
		}
	case <-timer.C:
		reply(ctx, fasthttp.StatusGatewayTimeout, stillOwned(packetID, "no analyzer has acknowledged it in time; it is still owned and may yet be delivered"))
	case <-s.stopping:
		reply(ctx, fasthttp.StatusGatewayTimeout, stillOwned(packetID, "the distributor stopped before an analyzer acknowledged it; it may have been delivered"))
	}
	return nil
}

func stillOwned(packetID, text string) ingestAnswer {
	return ingestAnswer{Status: "accepted", PacketID: packetID, Error: text}
}

// submit does everything that needs memory, and gives it back.
func (s *Server) submit(ctx *fasthttp.RequestCtx, f form, done func(Outcome)) (packetID string, refused *refusal) {
	d := s.workspaces.Get().(*workspace)
	reserved := reservation{memory: &s.memory}
	defer func() {
		reserved.settle()
		d.tidy()
		s.workspaces.Put(d)
	}()
	body, refused := d.read(ctx, &reserved)
	if refused == nil && f.coding != "" {
		body, refused = d.inflate(body, f.coding, &reserved)
	}
	if refused == nil && f.json {
		body, refused = d.encode(body, &reserved)
	}
	if refused != nil {
		return "", refused
	}
	if refused = d.scan(body); refused != nil {
		return "", refused
	}
	if !reserved.tryTake(protocol.HeaderSize + len(body)) { // its copy with a header
		return "", busy(forNoMemory, noMemory, 0)
	}
	packetID = string(d.scanned.PacketID) // before body is anybody else's
	if a := s.sender(ctx).Submit(body, d.scanned.Messages, done); !a.Accepted {
		if a.Reason != "" {
			return "", busy(forNoDeadLetter, a.Reason, a.RetryAfter)
		}
		return "", refusalOf(a.Code, a.RetryAfter)
	}
	return packetID, nil
}

// sender is who sends on a connection, made with its first packet.
func (s *Server) sender(ctx *fasthttp.RequestCtx) Sender {
	c := ctx.Conn().(*conn) // as the listener made it
	c.senderMu.Lock()
	defer c.senderMu.Unlock()
	if c.sender == nil {
		from := netip.Addr{}
		if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			from = a.AddrPort().Addr()
		}
		c.sender = s.backend.Sender(from)
	}
	return c.sender
}
