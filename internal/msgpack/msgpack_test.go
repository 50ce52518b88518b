package msgpack

import (
	"bytes"
	"math"
	"strings"
	"testing"

	library "github.com/vmihailenco/msgpack/v5"
)

func TestRead(t *testing.T) {
	long := strings.Repeat("x", 70000)
	for _, c := range []struct {
		name string
		in   string
		want Value
	}{
		{"nil", "\xc0", Value{}},
		{"false", "\xc2", Value{Kind: KindBool}},
		{"true", "\xc3", Value{Kind: KindBool, Bits: 1}},
		{"fixint", "\x7f", Value{Kind: KindInt, Bits: 127}},
		{"negative fixint", "\xe0", Value{Kind: KindInt, Bits: math.MaxUint64 - 31}},
		{"uint 8", "\xcc\xc8", Value{Kind: KindInt, Bits: 200}},
		{"uint 16", "\xcd\xff\xff", Value{Kind: KindInt, Bits: 65535}},
		{"uint 32", "\xce\xff\xff\xff\xff", Value{Kind: KindInt, Bits: math.MaxUint32}},
		{"uint 64", "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", Value{Kind: KindInt, Bits: math.MaxInt64}},
		{"uint 64 above int 64", "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", Value{Kind: KindUint, Bits: 1 << 63}},
		{"int 8", "\xd0\x80", Value{Kind: KindInt, Bits: math.MaxUint64 - 127}},
		{"int 16", "\xd1\xfe\xd4", Value{Kind: KindInt, Bits: math.MaxUint64 - 299}},
		{"int 32", "\xd2\x80\x00\x00\x00", Value{Kind: KindInt, Bits: math.MaxUint64 - 1<<31 + 1}},
		{"int 64", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", Value{Kind: KindInt, Bits: 1 << 63}},
		{"float 32", "\xca\x3f\xc0\x00\x00", Value{Kind: KindFloat32, Bits: 0x3fc00000}},
		{"float 64", "\xcb\x40\x02\x00\x00\x00\x00\x00\x00", Value{Kind: KindFloat64, Bits: math.Float64bits(2.25)}},
		{"fixstr", "\xa3abc", Value{Kind: KindStr, Data: []byte("abc")}},
		{"str 8", "\xd9\xc8" + long[:200], Value{Kind: KindStr, Data: []byte(long[:200])}},
		{"str 16", "\xda\x01\x2c" + long[:300], Value{Kind: KindStr, Data: []byte(long[:300])}},
		{"str 32", "\xdb\x00\x01\x11\x70" + long, Value{Kind: KindStr, Data: []byte(long)}},
		{"bin 8", "\xc4\x02ab", Value{Kind: KindBin, Data: []byte("ab")}},
		{"bin 16", "\xc5\x00\x02ab", Value{Kind: KindBin, Data: []byte("ab")}},
		{"bin 32", "\xc6\x00\x00\x00\x02ab", Value{Kind: KindBin, Data: []byte("ab")}},
		{"fixext 1", "\xd4\xffa", Value{Kind: KindExt, Type: -1, Data: []byte("a")}},
		{"fixext 16", "\xd8\x05" + long[:16], Value{Kind: KindExt, Type: 5, Data: []byte(long[:16])}},
		{"ext 8", "\xc7\x02\x80ab", Value{Kind: KindExt, Type: -128, Data: []byte("ab")}},
		{"ext 16", "\xc8\x00\x02\x07ab", Value{Kind: KindExt, Type: 7, Data: []byte("ab")}},
		{"ext 32", "\xc9\x00\x00\x00\x02\x07ab", Value{Kind: KindExt, Type: 7, Data: []byte("ab")}},
		{"empty array", "\x90", Value{Kind: KindArray}},
		{"empty map", "\x80", Value{Kind: KindMap}},
	} {
		var v Value
		next, f := Read([]byte(c.in), 0, &v)
		if f != OK || next != len(c.in) || v.Kind != c.want.Kind || v.Type != c.want.Type || v.N != 0 || v.Bits != c.want.Bits || !bytes.Equal(v.Data, c.want.Data) {
			t.Errorf("%s: %+v, next %d of %d, fault %d", c.name, v, next, len(c.in), f)
		}
		if cap(v.Data) != len(v.Data) {
			t.Errorf("%s: the data have spare capacity", c.name)
		}
		for cut := range min(len(c.in), 20) {
			if _, f := Read([]byte(c.in[:cut]), 0, &v); f != Truncated {
				t.Errorf("%s cut to %d bytes: fault %d", c.name, cut, f)
			}
			if _, f := Skip([]byte(c.in[:cut]), 0, 1); f != Truncated {
				t.Errorf("%s cut to %d bytes and skipped: fault %d", c.name, cut, f)
			}
		}
	}
	if _, f := Read([]byte{0xc1}, 0, new(Value)); f != Reserved {
		t.Errorf("0xc1: fault %d", f)
	}
}

func TestFloats(t *testing.T) {
	narrow := Value{Kind: KindFloat32, Bits: uint64(math.Float32bits(1.5))}
	wide := Value{Kind: KindFloat64, Bits: math.Float64bits(-2.25)}
	if narrow.Float32() != 1.5 || narrow.Float64() != 1.5 || wide.Float64() != -2.25 {
		t.Error(narrow.Float32(), narrow.Float64(), wide.Float64())
	}
}

// A count is compared with the bytes that are left before anybody believes it.
func TestCountsAreJudged(t *testing.T) {
	for _, in := range []string{
		"\x91", "\x92\xc0", "\xdc\xff\xff\xc0", "\xdd\xff\xff\xff\xff\xc0",
		"\x81", "\x81\xc0", "\x82\xc0\xc0\xc0", "\xde\xff\xff\xc0\xc0", "\xdf\xff\xff\xff\xff\xc0\xc0",
	} {
		var v Value
		if _, f := Read([]byte(in), 0, &v); f != Truncated {
			t.Errorf("%x: %+v, fault %d", in, v, f)
		}
	}
}

func TestSkip(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("\x91", n) + "\xc0" }
	for _, c := range []struct {
		in    string
		depth int
		want  Fault
	}{
		{"\xc0", 0, OK},
		{"\x90", 0, TooDeep},
		{"\x82\xa1a\x93\x01\xa3two\x81\xa1x\xc0\xa1b\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 3, OK},
		{"\x82\xa1a\x93\x01\xa3two\x81\xa1x\xc0\xa1b\xcb\x00\x00\x00\x00\x00\x00\x00\x00", 2, TooDeep},
		{"\x92\x90\xc1", 2, Reserved},
		{"\x92\xc0", 1, Truncated},
		{deep(MaxDepth), MaxDepth, OK},
		{deep(MaxDepth + 1), MaxDepth, TooDeep},
		{deep(1000), 1000, TooDeep}, // no depth is beyond MaxDepth
	} {
		next, f := Skip([]byte(c.in+"\xc0"), 0, c.depth)
		if c.want == Truncated {
			next, f = Skip([]byte(c.in), 0, c.depth)
		}
		if f != c.want || f == OK && next != len(c.in) {
			t.Errorf("%x to depth %d: next %d of %d, fault %d, want %d", c.in[:min(len(c.in), 20)], c.depth, next, len(c.in), f, c.want)
		}
	}
}

func TestUint(t *testing.T) {
	for in, want := range map[string]uint64{
		"\x05": 5, "\xcc\xff": 255, "\xcd\x01\x00": 256, "\xce\x00\x00\x00\x07": 7, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff": math.MaxUint64,
		"\xd0\x7f": 127, "\xd1\x7f\xff": 32767, "\xd2\x00\x00\x00\x01": 1, "\xd3\x00\x00\x00\x00\x00\x00\x00\x02": 2,
	} {
		if n, next, f := Uint([]byte(in), 0); n != want || next != len(in) || f != OK {
			t.Errorf("%x: %d, next %d, fault %d", in, n, next, f)
		}
		for cut := range in {
			if _, _, f := Uint([]byte(in[:cut]), 0); f != Truncated {
				t.Errorf("%x cut to %d: fault %d", in, cut, f)
			}
		}
	}
	for in, want := range map[string]Fault{
		"\xff": OutOfRange, "\xd0\x80": OutOfRange, "\xd3\xff\x00\x00\x00\x00\x00\x00\x00": OutOfRange,
		"\xc0": WrongType, "\xca\x00\x00\x00\x00": WrongType, "\xa0": WrongType, "\x80": WrongType, "\xc1": WrongType,
	} {
		if _, _, f := Uint([]byte(in), 0); f != want {
			t.Errorf("%x: fault %d, want %d", in, f, want)
		}
	}
}

// What Append writes, Read and msgpack/v5 read.
func TestAppendedIsRead(t *testing.T) {
	for _, n := range []int64{0, 127, 128, 255, 256, 65535, 65536, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64,
		-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, math.MinInt64} {
		b := AppendInt(nil, n)
		var v Value
		var byLibrary int64
		if next, f := Read(b, 0, &v); f != OK || next != len(b) || v.Kind != KindInt || v.Int() != n {
			t.Errorf("%d: %x is read as %+v", n, b, v)
		}
		if err := library.Unmarshal(b, &byLibrary); err != nil || byLibrary != n {
			t.Errorf("%d: %x is %d to msgpack/v5, %v", n, b, byLibrary, err)
		}
	}
	for _, n := range []int{0, 1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536} {
		data := bytes.Repeat([]byte("x"), n)
		for kind, b := range map[Kind][]byte{
			KindStr: AppendStr(nil, data), KindBin: AppendBin(nil, data), KindExt: append(AppendExtHead(nil, 7, n), data...),
		} {
			var v Value
			if next, f := Read(b, 0, &v); f != OK || next != len(b) || v.Kind != kind || !bytes.Equal(v.Data, data) {
				t.Errorf("kind %d of %d bytes: %+v", kind, n, v)
			}
		}
		for kind, b := range map[Kind][]byte{KindArray: AppendArrayHead(nil, n), KindMap: AppendMapHead(nil, n)} {
			var v Value
			head := len(b)
			if next, f := Read(append(b, make([]byte, 2*n)...), 0, &v); f != OK || next != head || v.Kind != kind || v.N != n {
				t.Errorf("kind %d of %d: %+v", kind, n, v)
			}
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	b := []byte("\x83\xa1a\x93\x01\xa3two\x81\xa1x\xc0\xa1b\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa1c\xd4\x01\x00")
	if n := testing.AllocsPerRun(100, func() {
		var v Value
		for i := 0; i < len(b); {
			i, _ = Read(b, i, &v)
		}
		_, _ = Skip(b, 0, MaxDepth)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzValues holds Skip, Read and msgpack/v5 against each other: they agree on
// where a value ends.
func FuzzValues(f *testing.F) {
	f.Add([]byte("\x83\xa1a\x93\x01\xa3two\x81\xa1x\xc0\xa1b\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa1c\xd4\x01\x00"))
	f.Add([]byte("\xdd\xff\xff\xff\xff"))
	f.Add([]byte("\x92\xc1\xc0"))
	f.Add([]byte(strings.Repeat("\x91", 33)))
	f.Add([]byte("\xc9\x00\x00\x00\x04\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		next, skipped := Skip(b, 0, MaxDepth)
		end, read := readAll(b, 0, MaxDepth)
		if skipped != read || skipped == OK && next != end {
			t.Fatalf("skip: %d, fault %d; read: %d, fault %d", next, skipped, end, read)
		}
		if next > len(b) || end > len(b) {
			t.Fatalf("skip: %d, read: %d of %d", next, end, len(b))
		}
		if skipped != OK {
			return
		}
		src := bytes.NewReader(b)
		if err := library.NewDecoder(src).Skip(); err != nil || len(b)-src.Len() != next {
			t.Fatalf("skip: %d, msgpack/v5: %d, %v", next, len(b)-src.Len(), err)
		}
	})
}

// readAll steps over a value with Read alone, and recursion.
func readAll(b []byte, i, depth int) (int, Fault) {
	var v Value
	i, f := Read(b, i, &v)
	if f != OK {
		return i, f
	}
	n := v.N
	switch v.Kind {
	case KindMap:
		n *= 2
	case KindArray:
	default:
		return i, OK
	}
	if depth == 0 {
		return i, TooDeep
	}
	for ; n > 0 && f == OK; n-- {
		i, f = readAll(b, i, depth-1)
	}
	return i, f
}
