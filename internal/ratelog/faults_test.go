package ratelog

import (
	"fmt"
	"testing"
)

func TestKind(t *testing.T) {
	for _, same := range [][]string{
		{
			"lookup ana1.example on 127.0.0.53:53: read udp 127.0.0.1:41234->127.0.0.53:53: read: connection refused",
			"lookup ana1.example on 10.1.2.3:53: read udp 10.0.0.7:5->10.1.2.3:53: read: connection refused",
		},
		{
			"dial tcp [2001:db8::1]:9001: connect: connection refused",
			"dial tcp [fe80::a1ff:fe00:1%eth0]:45: connect: connection refused",
		},
		{"silent for 1.5s", "silent for 2s", "silent for 900ms", "silent for 1m30s"},
		{"read [::1]:55555->[::1]:9001: i/o timeout", "read [::1]:1->[::1]:2: i/o timeout"},
		{"frame of 4,096 bytes at 0xdeadbeef", "frame of 12 bytes at 0x1"},
	} {
		for _, other := range same[1:] {
			if Kind(same[0]) != Kind(other) {
				t.Errorf("%q and %q are told apart: %q, %q", same[0], other, Kind(same[0]), Kind(other))
			}
		}
	}
	for _, differ := range [][2]string{
		{"connect: connection refused", "connect: no route to host"},
		{"lookup a: no such host", "lookup a: server misbehaving"},
		{"goaway: draining", "goaway: overload"},
	} {
		if Kind(differ[0]) == Kind(differ[1]) {
			t.Errorf("%q and %q are one kind, %q", differ[0], differ[1], Kind(differ[0]))
		}
	}
}

// While a name server fails, its two errors take turns; each is told once, and
// when it is over, how many were not.
func TestFaultsAreToldOnceUntilTheyAreOver(t *testing.T) {
	var f Faults
	told := 0
	for i := range 100 {
		for _, text := range []string{"lookup on %d.0.0.1:53: i/o timeout", "lookup on %d.0.0.1:53: connection refused"} {
			if news, suppressed := f.IsNews(fmt.Sprintf(text, i)); news {
				if told++; suppressed != 0 {
					t.Errorf("line %d: %d suppressed", told, suppressed)
				}
			}
		}
	}
	if told != 2 {
		t.Errorf("%d lines", told)
	}
	if news, n := f.IsNews("something else"); !news || n != 198 {
		t.Errorf("news %v, %d suppressed", news, n)
	}
	f.IsNews("something else")
	if n := f.Over(); n != 1 {
		t.Errorf("%d suppressed at its end", n)
	}
	if news, n := f.IsNews("something else"); !news || n != 0 {
		t.Errorf("after its end: news %v, %d suppressed", news, n)
	}
	for i := range 1000 {
		f.IsNews(fmt.Sprintf("noise %c", 'a'+rune(i)))
	}
	if len(f.kinds) != mostKinds {
		t.Errorf("%d kinds are remembered", len(f.kinds))
	}
}
