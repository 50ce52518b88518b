package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"sluice/protocol"
)

// refusal is why a request is not served. Field names what is wrong in the
// request, as its sender would: a JSON path, a header or a parameter. Immutable.
type refusal struct {
	status     int
	reason     reason // why, where the status does not say it
	field      string
	text       string
	retryAfter time.Duration // with 503
	hangUp     bool          // the rest of the connection cannot be trusted
}

func bad(field, text string) *refusal {
	return &refusal{status: fasthttp.StatusBadRequest, field: field, text: text}
}

func tooLarge(field string, limit int, what string) *refusal {
	return &refusal{status: fasthttp.StatusRequestEntityTooLarge, field: field, text: fmt.Sprintf("is more than the limit of %d %s", limit, what)}
}

func unsupported(field, text string) *refusal {
	return &refusal{status: fasthttp.StatusUnsupportedMediaType, field: field, text: text}
}

func busy(why reason, text string, after time.Duration) *refusal {
	return &refusal{status: fasthttp.StatusServiceUnavailable, reason: why, text: text, retryAfter: max(after, retryAfter)}
}

// refusalOf translates the answer of the core or of an analyzer.
func refusalOf(code protocol.NackCode, after time.Duration) *refusal {
	switch code {
	case protocol.NackInvalid:
		return bad("body", "is no valid LogPacket")
	case protocol.NackTooLarge:
		return &refusal{status: fasthttp.StatusRequestEntityTooLarge, field: "body", text: "is too large for every analyzer"}
	case protocol.NackUnavailable:
		return busy(forNoAnalyzer, "unavailable: no analyzer took the packet; send it again later", after)
	case protocol.NackDraining:
		return busy(forStopping, "draining: the distributor is stopping; send it again later", after)
	default:
		return busy(forQueueFull, code.String()+": the packet was not taken; send it again later", after)
	}
}

func (s *Server) refuse(ctx *fasthttp.RequestCtx, r *refusal) {
	s.counts.refused[r.of()].Add(1)
	answer := errorAnswer{Error: r.text, Field: r.field}
	if r.field != "" {
		answer.Error = r.field + ": " + r.text
	}
	if r.retryAfter > 0 {
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.retryAfter.Seconds()))))
	}
	if c, ok := ctx.Conn().(*conn); ok {
		c.linger.Store(true) // should it be closed with some of the body unread
	}
	if r.hangUp {
		ctx.SetConnectionClose()
	}
	reply(ctx, r.status, answer)
}

// errorAnswer is the body of every refusal. Immutable.
type errorAnswer struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"`
}

// ingestAnswer is the body for a packet that was taken. Immutable.
type ingestAnswer struct {
	Status   string `json:"status"`
	PacketID string `json:"packet_id"`
	Analyzer string `json:"analyzer,omitempty"`
	Error    string `json:"error,omitempty"`
}

// statusAnswer is the body of /healthz and /readyz. Immutable.
type statusAnswer struct {
	Status string `json:"status"`
}

func reply(ctx *fasthttp.RequestCtx, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil { // a number that JSON cannot say would be a bug of ours
		status, body = fasthttp.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	write(ctx, status, append(body, '\n'))
}

func write(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.Response.ResetBody()
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

// accept is reply for the answer that nearly all packets get.
func accept(ctx *fasthttp.RequestCtx, packetID string) {
	if !plain(packetID) {
		reply(ctx, fasthttp.StatusAccepted, ingestAnswer{Status: "accepted", PacketID: packetID})
		return
	}
	var room [256]byte
	body := append(room[:0], `{"status":"accepted","packet_id":"`...)
	body = append(body, packetID...)
	write(ctx, fasthttp.StatusAccepted, append(body, '"', '}', '\n'))
}

// plain says that JSON, as encoding/json writes it, needs no escape for s.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// refuseMalformed answers what is no HTTP request. fasthttp closes after it.
func (s *Server) refuseMalformed(ctx *fasthttp.RequestCtx, err error) {
	r := bad("request", "is not valid HTTP")
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		r = &refusal{status: fasthttp.StatusRequestHeaderFieldsTooLarge, field: "request", text: fmt.Sprintf("has a header of more than %d bytes", maxHeaderBytes)}
	case errors.As(err, &network) && network.Timeout():
		r = &refusal{status: fasthttp.StatusRequestTimeout, field: "request", text: "did not come in time"}
	}
	r.hangUp = true
	s.refuse(ctx, r)
}

// lazyText is formatted only if somebody logs it. Immutable.
type lazyText struct {
	format string
	args   []any
}

func (t lazyText) String() string { return strings.TrimSpace(fmt.Sprintf(t.format, t.args...)) }
