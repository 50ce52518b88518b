package stage

import "time"

// mark says when the frames up to a number were written.
type mark struct {
	upTo uint64
	at   time.Duration
}

// marks is a queue of them: one a write, not one a frame.
type marks struct {
	buf     []mark
	head, n int
}

func (r *marks) push(m mark) {
	if r.n == len(r.buf) {
		buf := make([]mark, max(16, 2*r.n))
		for i := 0; i < r.n; i++ {
			buf[i] = r.buf[(r.head+i)&(len(r.buf)-1)]
		}
		r.buf, r.head = buf, 0
	}
	r.buf[(r.head+r.n)&(len(r.buf)-1)] = m
	r.n++
}

func (r *marks) front() *mark { return &r.buf[r.head] }

func (r *marks) pop() { r.head = (r.head + 1) & (len(r.buf) - 1); r.n-- }
