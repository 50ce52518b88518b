package api

import (
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"sluice/server/stats"
)

// reason is what a refusal is counted under. Those with status 503 differ in
// what an operator would do about them; the others follow from the status.
type reason uint8

const (
	byStatus        reason = iota // not counted: the status says it
	forMalformed                  // 400
	forNotFound                   // 404
	forWrongMethod                // 405
	forLate                       // 408
	forNoLength                   // 411
	forOverLimit                  // 413
	forWrongType                  // 415
	forLargeHeader                // 431
	forInternal                   // 500
	forNoConnection               // 503: too many connections
	forNoSlot                     // too many requests at a time
	forNoMemory                   // too many large requests at a time
	forQueueFull                  // the core has no room
	forNoDeadLetter               // no room to answer for the packet
	forNoAnalyzer                 // nobody took it
	forStopping                   // draining
	reasons
)

var reasonNames = [reasons]string{"", "malformed", "not_found", "wrong_method", "timeout", "no_content_length", "too_large",
	"wrong_type", "header_too_large", "internal_error", "connections", "requests", "memory", "busy", "dead_letters", "unavailable", "draining"}

// of is the reason that counts.
func (r *refusal) of() reason {
	if r.reason != byStatus {
		return r.reason
	}
	switch r.status {
	case fasthttp.StatusNotFound:
		return forNotFound
	case fasthttp.StatusMethodNotAllowed:
		return forWrongMethod
	case fasthttp.StatusRequestTimeout:
		return forLate
	case fasthttp.StatusLengthRequired:
		return forNoLength
	case fasthttp.StatusRequestEntityTooLarge:
		return forOverLimit
	case fasthttp.StatusUnsupportedMediaType:
		return forWrongType
	case fasthttp.StatusRequestHeaderFieldsTooLarge:
		return forLargeHeader
	case fasthttp.StatusInternalServerError:
		return forInternal
	}
	return forMalformed
}

// counters counts requests and refusals. Safe for concurrent use.
type counters struct {
	requests atomic.Uint64
	refused  [reasons]atomic.Uint64
}

func (c *counters) snapshot() stats.HTTP {
	h := stats.HTTP{Requests: c.requests.Load(), Refused: make(map[string]uint64, reasons)}
	for r := byStatus + 1; r < reasons; r++ {
		h.Refused[reasonNames[r]] = c.refused[r].Load()
	}
	return h
}
