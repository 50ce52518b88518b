package ratelog

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// book is a log without times, and a clock that is set by hand.
type book struct {
	out bytes.Buffer
	now time.Time
}

func newBook() (*book, *Limiter) {
	b := &book{now: time.Unix(1000, 0)}
	plain := slog.New(slog.NewTextHandler(&b.out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return b, New(plain, func() time.Time { return b.now })
}

func (b *book) want(t *testing.T, lines ...string) {
	t.Helper()
	if got := strings.TrimSpace(b.out.String()); got != strings.Join(lines, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(lines, "\n"))
	}
	b.out.Reset()
}

func TestOneLineASecondForEachKind(t *testing.T) {
	b, l := newBook()
	for i := range 500 {
		l.Warn("refused", "peer", i)
		l.Info("hello", "peer", i)
	}
	b.want(t, "level=WARN msg=refused peer=0", "level=INFO msg=hello peer=0")

	b.now = b.now.Add(Every - 1)
	l.Warn("refused", "peer", 500)
	b.want(t, "")

	b.now = b.now.Add(1)
	l.Warn("refused", "peer", 501)
	l.Warn("refused", "peer", 502)
	b.want(t, "level=WARN msg=refused peer=501 suppressed=500")

	b.now = b.now.Add(time.Hour)
	l.Warn("refused", "peer", 503)
	b.want(t, "level=WARN msg=refused peer=503 suppressed=1")
	b.now = b.now.Add(time.Hour)
	l.Warn("refused", "peer", 504)
	b.want(t, "level=WARN msg=refused peer=504") // none was suppressed

	l.Flush()
	b.want(t, "level=INFO msg=hello suppressed=499")
	l.Flush()
	b.want(t, "")
}

func TestAClockThatGoesBackSilencesNothing(t *testing.T) {
	b, l := newBook()
	l.Warn("refused")
	b.now = b.now.Add(-time.Hour)
	l.Warn("refused")
	b.want(t, "level=WARN msg=refused", "level=WARN msg=refused")
}

func TestNoneIsLostBetweenGoroutines(t *testing.T) {
	b, l := newBook()
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 1000 {
				l.Warn("refused")
			}
		})
	}
	done.Wait()
	b.want(t, "level=WARN msg=refused")
	l.Flush()
	b.want(t, "level=WARN msg=refused suppressed=7999")
}
