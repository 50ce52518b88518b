package analysis

import "time"

// rateSeconds is over how many seconds rates are taken.
const rateSeconds = 10

// rate counts by second, for the last rateSeconds of them and the one that
// runs. Time comes in as an argument.
type rate struct {
	start   int64 // the second in which counting began; 0: not yet
	buckets [rateSeconds + 1]struct {
		second           int64
		messages, errors uint64
	}
}

func (r *rate) add(now time.Time, messages, errors uint64) {
	second := now.Unix()
	if r.start == 0 {
		r.start = second
	}
	b := &r.buckets[uint64(second)%uint64(len(r.buckets))]
	if b.second != second {
		b.second, b.messages, b.errors = second, 0, 0
	}
	b.messages += messages
	b.errors += errors
}

// perSecond returns the means over the last ten whole seconds, or, as long as
// counting began more recently, over the time since then, the running second
// included.
func (r *rate) perSecond(now time.Time) (messages, errors float64) {
	second := now.Unix()
	if r.start == 0 {
		return 0, 0
	}
	from, to := second-rateSeconds, second-1
	span := float64(rateSeconds)
	if r.start > from {
		from, to = r.start, second
		span = max(now.Sub(time.Unix(r.start, 0)).Seconds(), 1)
	}
	for i := range r.buckets {
		if b := &r.buckets[i]; b.second >= from && b.second <= to {
			messages += float64(b.messages)
			errors += float64(b.errors)
		}
	}
	return messages / span, errors / span
}
