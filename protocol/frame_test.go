package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"sluice/protocol"
)

// cutReader hands out a stream in pieces of the given lengths, repeated.
type cutReader struct {
	rest []byte
	cuts []byte
	at   int
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := 1
	if len(r.cuts) > 0 {
		n = int(r.cuts[r.at%len(r.cuts)])*257 + 1 // 1 byte to 64 KiB
		r.at++
	}
	n = copy(p, r.rest[:min(n, len(r.rest))])
	r.rest = r.rest[n:]
	return n, nil
}

// readFrames returns copies of all frames and the error that ended them, and
// destroys each borrowed body, so that a reader that hands out the same bytes
// twice is found.
func readFrames(r io.Reader, maxFrame int) ([][]byte, error) {
	f := protocol.NewFrameReader(r, maxFrame)
	var out [][]byte
	for {
		body, err := f.Next()
		if err != nil {
			return out, err
		}
		out = append(out, bytes.Clone(body))
		for i := range body {
			body[i] = 0xc1
		}
	}
}

func sameFrames(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

// A1: any cut of a valid stream gives the same frames.
func TestFramesSurviveAnyCut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var stream []byte
		var want [][]byte
		for range rnd.IntN(40) {
			size := 1 + rnd.IntN(300)
			if rnd.IntN(8) == 0 {
				size = 1 + rnd.IntN(200_000)
			}
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(rnd.Uint32())
			}
			want = append(want, body)
			stream = protocol.AppendFrame(stream, body)
		}
		cuts := make([]byte, 1+rnd.IntN(20))
		for i := range cuts {
			cuts[i] = byte(rnd.Uint32() >> rnd.IntN(9))
		}
		got, err := readFrames(&cutReader{rest: stream, cuts: cuts}, protocol.DefaultMaxFrame)
		if err != io.EOF {
			t.Fatalf("cuts %v: %v", cuts, err)
		}
		sameFrames(t, got, want)
	}
}

// A3: the four bytes are judged before anything is allocated for them.
func TestLengthIsJudgedBeforeItIsBelieved(t *testing.T) {
	const max = 1000
	for _, tc := range []struct {
		length uint32
		bad    bool
	}{
		{0, true}, {1, false}, {max, false}, {max + 1, true}, {0x7fffffff, true}, {0xffffffff, true},
	} {
		header := binary.BigEndian.AppendUint32(nil, tc.length)
		_, err := protocol.NewFrameReader(bytes.NewReader(header), max).Next()
		var le *protocol.LengthError
		if got := errors.As(err, &le); got != tc.bad {
			t.Errorf("length %d: %v", tc.length, err)
		} else if tc.bad && (le.Length != tc.length || le.Max != max) {
			t.Errorf("length %d: error says %+v", tc.length, le)
		} else if !tc.bad && err != io.ErrUnexpectedEOF {
			t.Errorf("length %d: %v, want an unexpected end", tc.length, err)
		}
	}
}

// A3: a thousand connections that declare the largest frame and send nothing
// cost what they sent, not what they declared.
func TestDeclaredLengthAllocatesNothing(t *testing.T) {
	header := binary.BigEndian.AppendUint32(nil, protocol.DefaultMaxFrame)
	const conns = 1000
	perConn := allocatedBy(func() {
		for range conns {
			r := protocol.NewFrameReader(iotest.OneByteReader(bytes.NewReader(header)), 0)
			if _, err := r.Next(); err != io.ErrUnexpectedEOF {
				t.Fatal(err)
			}
		}
	}) / conns
	if perConn > 8<<10 {
		t.Errorf("%d bytes allocated per connection", perConn)
	}
}

// allocatedBy returns the bytes that f allocates. Tests that use it do not run
// in parallel.
func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestFrameReaderEnds(t *testing.T) {
	whole := protocol.AppendFrame(nil, []byte("abc"))
	boom := errors.New("boom")
	for name, tc := range map[string]struct {
		r      io.Reader
		frames int
		err    error
	}{
		"nothing":        {bytes.NewReader(nil), 0, io.EOF},
		"between frames": {bytes.NewReader(whole), 1, io.EOF},
		"with the data":  {iotest.DataErrReader(bytes.NewReader(whole)), 1, io.EOF},
		"in a header":    {bytes.NewReader(append(bytes.Clone(whole), 0, 0)), 1, io.ErrUnexpectedEOF},
		"in a body":      {bytes.NewReader(whole[:6]), 0, io.ErrUnexpectedEOF},
		"by an error":    {io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(boom)), 1, boom},
		"by silence":     {silent{}, 0, io.ErrNoProgress},
	} {
		got, err := readFrames(tc.r, 0)
		if len(got) != tc.frames || err != tc.err {
			t.Errorf("%s: %d frames, %v; want %d, %v", name, len(got), err, tc.frames, tc.err)
		}
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func TestBufferedCountsWhatWasReadAhead(t *testing.T) {
	one := protocol.AppendFrame(nil, []byte("abc"))
	f := protocol.NewFrameReader(bytes.NewReader(bytes.Repeat(one, 3)), 0)
	for left := 2; left >= 0; left-- {
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
		if f.Buffered() != left*len(one) {
			t.Errorf("buffered %d, want %d", f.Buffered(), left*len(one))
		}
	}
}

// endless repeats a stream for ever, without allocating.
type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

func TestFrameReaderAllocatesNothingPerFrame(t *testing.T) {
	f := protocol.NewFrameReader(&endless{data: frame(plainPacket())}, 0)
	next := func() {
		if _, err := f.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 10_000 { // let the buffer grow
		next()
	}
	if n := testing.AllocsPerRun(5000, next); n != 0 {
		t.Errorf("%v allocations per frame", n)
	}
}

// The body's capacity ends with it: an append must not reach the next frame.
func TestBodyCannotBeAppendedOver(t *testing.T) {
	f := protocol.NewFrameReader(bytes.NewReader(frame(nil)), 0)
	if _, err := f.Next(); err == nil {
		t.Fatal("an empty frame was accepted")
	}
	f = protocol.NewFrameReader(bytes.NewReader(append(frame([]byte("ab")), frame([]byte("cd"))...)), 0)
	body, _ := f.Next()
	_ = append(body, "xxxxxxxxxx"...)
	if body, err := f.Next(); err != nil || string(body) != "cd" {
		t.Errorf("next frame: %q, %v", body, err)
	}
}

func TestIsControl(t *testing.T) {
	for first := range 256 {
		want := first >= 0x90 && first <= 0x9f || first == 0xdc || first == 0xdd
		if got := protocol.IsControl(byte(first)); got != want {
			t.Errorf("IsControl(%#x) = %v", first, got)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x80}, []byte{0})
	f.Add(bytes.Repeat(frame([]byte("hello")), 5), []byte{0, 3, 1})
	f.Add(append(frame(plainPacket()), 0xff, 0xff, 0xff, 0xff), []byte{0, 0, 9})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		const max = 1 << 16
		want, wantErr := readFrames(bytes.NewReader(stream), max)
		got, err := readFrames(&cutReader{rest: stream, cuts: cuts}, max)
		sameFrames(t, got, want)
		var a, b *protocol.LengthError
		switch {
		case errors.As(wantErr, &a):
			if !errors.As(err, &b) || *a != *b {
				t.Fatalf("cut: %v, uncut: %v", err, wantErr)
			}
		case err != wantErr:
			t.Fatalf("cut: %v, uncut: %v", err, wantErr)
		}
		var again []byte
		for _, body := range got {
			again = protocol.AppendFrame(again, body)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatal("the frames are not the stream")
		}
	})
}
