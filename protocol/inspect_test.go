package protocol_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"sluice/protocol"
)

var compressions = []protocol.Compression{protocol.None, protocol.Zstd, protocol.S2, protocol.Gzip}

// ext wraps data by hand, with a header longer than it needs.
func ext(typ byte, data []byte) []byte {
	n := len(data)
	return append([]byte{0xc9, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), typ}, data...)
}

func zstdOf(t testing.TB, plain []byte, opts ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(plain, nil)
}

func gzipOf(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packetOfSize(t testing.TB, size int) []byte {
	t.Helper()
	p := protocol.LogPacket{PacketID: "p", AgentID: "a", Messages: make([]protocol.LogMessage, 1)}
	p.Messages[0].Message = strings.Repeat("m", size)
	over := len(protocol.AppendPacket(nil, &p)) - size
	p.Messages[0].Message = p.Messages[0].Message[over:]
	// A shorter message may have a shorter head.
	p.Messages[0].Source = strings.Repeat("s", size-len(protocol.AppendPacket(nil, &p)))
	body := protocol.AppendPacket(nil, &p)
	if len(body) != size {
		t.Fatalf("built %d bytes, want %d", len(body), size)
	}
	return body
}

func TestCompressedFramesAreInflatedAndScanned(t *testing.T) {
	in := protocol.NewInspector(protocol.DefaultMaxFrame)
	for _, kind := range compressions {
		c := protocol.NewCompressor(kind)
		for _, plain := range [][]byte{golden(t, "packet-empty")[4:], plainPacket(), packetOfSize(t, 300), packetOfSize(t, 70_000), packetOfSize(t, protocol.DefaultMaxFrame)} {
			prefix := []byte("before")
			body := c.Append(prefix, plain)
			if !bytes.HasPrefix(body, prefix) {
				t.Fatalf("%v: Append does not append", kind)
			}
			body = body[len(prefix):]
			var s protocol.Scanned
			if err := in.Scan(body, &s); err != nil {
				t.Errorf("%v of %d bytes: %v", kind, len(plain), err)
				continue
			}
			got, err := in.Inflate(body)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%v of %d bytes: inflated to %d bytes, %v", kind, len(plain), len(got), err)
			}
			if protocol.IsControl(body[0]) {
				t.Errorf("%v: a data frame that looks like a control frame", kind)
			}
		}
	}
}

// Every other encoder's frames, too: streams, multiple members, headers longer
// than needed.
func TestForeignEncodings(t *testing.T) {
	plain := packetOfSize(t, 5000)
	var stream bytes.Buffer
	w, err := zstd.NewWriter(&stream, zstd.WithWindowSize(64<<10), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(plain)
	if err := errors.Join(w.Flush(), w.Close()); err != nil {
		t.Fatal(err)
	}
	in := protocol.NewInspector(0)
	for name, body := range map[string][]byte{
		"zstd stream":      ext(1, stream.Bytes()),
		"zstd best":        ext(1, zstdOf(t, plain, zstd.WithEncoderLevel(zstd.SpeedBestCompression))),
		"zstd two frames":  ext(1, append(zstdOf(t, plain[:100]), zstdOf(t, plain[100:])...)),
		"s2 better":        ext(2, s2.EncodeBetter(nil, plain)),
		"snappy":           ext(2, s2.EncodeSnappy(nil, plain)),
		"gzip":             ext(3, gzipOf(t, plain)),
		"gzip two members": ext(3, append(gzipOf(t, plain[:100]), gzipOf(t, plain[100:])...)),
	} {
		var s protocol.Scanned
		if err := in.Scan(body, &s); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(s.PacketID) != "p" || s.Messages != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestInspectorRefuses(t *testing.T) {
	const max = 64 << 10
	plain := plainPacket()
	zeros := make([]byte, 8<<20)
	packed := protocol.NewCompressor(protocol.Zstd).Append(nil, plain)
	in := protocol.NewInspector(max)
	for name, body := range map[string][]byte{
		"nothing":              {},
		"a scalar":             {0x01},
		"an array":             {0x90},
		"ext type 0":           ext(0, plain),
		"ext type 4":           ext(4, plain),
		"ext type -1":          {0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 0},
		"ext of 4 G":           {0xc9, 0xff, 0xff, 0xff, 0xff, 0x01},
		"ext cut in its head":  {0xc8, 0x00},
		"ext without its type": {0xd4},
		"trailing":             append(bytes.Clone(packed), 0),
		"cut":                  packed[:len(packed)-1],
		"garbage":              ext(1, []byte("this is no zstd")),
		"s2 garbage":           ext(2, []byte{0x05, 0xff}),
		"s2 of 4 G":            ext(2, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00}),
		"gzip garbage":         ext(3, []byte("no gzip either")),
		"empty zstd":           ext(1, nil),
		"empty s2":             ext(2, nil),
		"empty gzip":           ext(3, nil),
		"zstd of nothing":      ext(1, zstdOf(t, nil)),
		"gzip of nothing":      ext(3, gzipOf(t, nil)),
		"gzip, then garbage":   ext(3, append(gzipOf(t, plain), "garbage"...)),
		"zstd bomb":            ext(1, zstdOf(t, zeros)),
		"zstd bomb in a row":   ext(1, bytes.Repeat(zstdOf(t, zeros[:max/2+1]), 4)),
		"s2 bomb":              ext(2, s2.Encode(nil, zeros)),
		"gzip bomb":            ext(3, gzipOf(t, zeros)),
		"zstd, one too long":   ext(1, zstdOf(t, packetOfSize(t, max+1))),
		"s2, one too long":     ext(2, s2.Encode(nil, packetOfSize(t, max+1))),
		"gzip, one too long":   ext(3, gzipOf(t, packetOfSize(t, max+1))),
		"two layers":           ext(3, gzipOf(t, packed)),
		"not a packet":         ext(2, s2.Encode(nil, []byte{0x80})),
		"zstd window of 1 GiB": ext(1, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0x00, 0x00}),
	} {
		var s protocol.Scanned
		var err error
		used := allocatedBy(func() { err = in.Scan(body, &s) })
		var ie *protocol.InvalidError
		if !errors.As(err, &ie) {
			t.Errorf("%s: %v", name, err)
		}
		// Decoders are made once and cost some hundred KiB; no bomb goes beyond.
		if used > 2<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
	// And still works: a failure leaves nothing behind.
	for _, kind := range compressions {
		var s protocol.Scanned
		if err := in.Scan(protocol.NewCompressor(kind).Append(nil, packetOfSize(t, max)), &s); err != nil {
			t.Errorf("%v after the failures: %v", kind, err)
		}
	}
}

func TestInspectorAllocatesNothing(t *testing.T) {
	in := protocol.NewInspector(0)
	for _, kind := range compressions {
		body := protocol.NewCompressor(kind).Append(nil, packetOfSize(t, 3000))
		var s protocol.Scanned
		scan := func() {
			if err := in.Scan(body, &s); err != nil {
				t.Fatal(err)
			}
		}
		scan()
		if n := testing.AllocsPerRun(200, scan); n != 0 {
			t.Errorf("%v: %v allocations per frame", kind, n)
		}
	}
}

func TestCompressorAllocatesNothing(t *testing.T) {
	plain := packetOfSize(t, 3000)
	for _, kind := range compressions {
		c := protocol.NewCompressor(kind)
		var buf []byte
		pack := func() { buf = c.Append(buf[:0], plain) }
		pack()
		if n := testing.AllocsPerRun(200, pack); n != 0 {
			t.Errorf("%v: %v allocations per frame", kind, n)
		}
	}
}

func TestCompressionNames(t *testing.T) {
	for _, kind := range compressions {
		if got, err := protocol.ParseCompression(kind.String()); err != nil || got != kind {
			t.Errorf("%v: %v, %v", kind, got, err)
		}
	}
	for _, name := range []string{"", "ZSTD", "lz4", protocol.Compression(9).String()} {
		if _, err := protocol.ParseCompression(name); err == nil {
			t.Errorf("%q was parsed", name)
		}
	}
}

// The three decoders against the frame as it is: no input makes the Inspector
// panic or hold more than its limit, and what it inflates it inflates again.
func FuzzInflate(f *testing.F) {
	plain := plainPacket()
	for _, kind := range compressions {
		f.Add(protocol.NewCompressor(kind).Append(nil, plain))
	}
	for _, name := range []string{"packet-zstd", "packet-s2", "packet-gzip"} {
		f.Add(golden(f, name)[4:])
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 300)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	f.Add(ext(2, s2.Encode(nil, noise)))
	const max = 32 << 10
	f.Fuzz(func(t *testing.T, body []byte) {
		in := protocol.NewInspector(max)
		got, err := in.Inflate(body)
		if err != nil {
			var ie *protocol.InvalidError
			if !errors.As(err, &ie) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if !protocol.IsPlain(body[0]) && len(got) > max {
			t.Fatalf("inflated to %d bytes", len(got))
		}
		first := bytes.Clone(got)
		again, err := in.Inflate(body)
		if err != nil || !bytes.Equal(again, first) {
			t.Fatalf("the second time: %v", err)
		}
		var a, b protocol.Scanned
		if (in.Scan(body, &a) == nil) != (protocol.Scan(first, &b) == nil) {
			t.Fatal("the frame and its plain body are judged differently")
		}
	})
}
