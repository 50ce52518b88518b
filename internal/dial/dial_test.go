package dial_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/await"
	"sluice/internal/dial"
	"sluice/internal/testnet"
)

// zone is a name server for one zone.
type zone struct {
	mu       sync.Mutex
	addrs    []netip.Addr // of every name
	dropAAAA bool
	refuse   bool
	asked    int
}

func (z *zone) set(change func(*zone)) {
	z.mu.Lock()
	change(z)
	z.mu.Unlock()
}

// serve answers at port 53 of addr until the test ends.
func (z *zone) serve(t *testing.T, addr string) {
	t.Helper()
	c, err := net.ListenPacket("udp", addr+":53")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		query := make([]byte, 600)
		for {
			n, from, err := c.ReadFrom(query)
			if err != nil {
				return
			}
			if reply := z.answer(query[:n]); reply != nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() { c.Close(); done.Wait() })
}

// answer makes the reply to a query of one question (RFC 1035, section 4).
func (z *zone) answer(query []byte) []byte {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5 // the root label, type and class
	kind := binary.BigEndian.Uint16(query[end-4:])
	const a, aaaa = 1, 28
	if kind == aaaa && z.dropAAAA {
		return nil
	}
	reply := append([]byte(nil), query[:end]...)
	copy(reply[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // response, no error, one question
	if z.refuse {
		reply[3] |= 5
		return reply
	}
	for _, addr := range z.addrs {
		if kind == a && addr.Is4() || kind == aaaa && addr.Is6() {
			reply[7]++
			raw := addr.AsSlice()
			reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw))) // the name above, not to be kept
			reply = append(reply, raw...)
		}
	}
	return reply
}

func addrs(all ...string) (out []netip.Addr) {
	for _, a := range all {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// accept listens and accepts until the test ends.
func accept(t *testing.T, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	})
	t.Cleanup(func() { ln.Close(); done.Wait() })
}

// reaches dials and wants to be connected to addr.
func reaches(t *testing.T, d *dial.Dialer, address, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	c, err := d.Dial(ctx, address)
	if err != nil {
		t.Fatalf("dial %s: %v", address, err)
	}
	defer c.Close()
	if got := c.RemoteAddr().String(); got != addr {
		t.Errorf("connected to %s, want %s", got, addr)
	}
}

// fails dials and returns why that failed.
func fails(t *testing.T, d *dial.Dialer, address string) error {
	t.Helper()
	c, err := d.Dial(t.Context(), address)
	if err == nil {
		c.Close()
		t.Fatalf("connected to %s", address)
	}
	return err
}

func TestLiteralAddresses(t *testing.T) {
	await.LeavesNothing(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	d := dial.New(t.Context(), dial.Limits{})
	reaches(t, d, addr, addr)
	ln.Close()
	if err := fails(t, d, addr); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), addr) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"127.0.0.1", "127.0.0.1:none", ""} {
		fails(t, d, bad)
	}
}

func TestACanceledDialLeavesNothing(t *testing.T) {
	await.LeavesNothing(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dial.New(t.Context(), dial.Limits{}).Dial(ctx, "localhost:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The resolver waits 5 s for the dead one before it asks the next.
func TestADeadFirstNameServer(t *testing.T) {
	if !testnet.Own(t) {
		return
	}
	z := &zone{addrs: addrs("127.0.0.2")}
	z.serve(t, "127.0.0.1")
	silent, err := net.ListenPacket("udp", "127.0.0.9:53")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	testnet.Resolvers(t, "127.0.0.9", "127.0.0.1")
	accept(t, "127.0.0.2:7000")
	d := dial.New(t.Context(), dial.Limits{Connect: time.Second})
	reaches(t, d, "analyzer.test:7000", "127.0.0.2:7000")
	reaches(t, d, "analyzer.test:7000", "127.0.0.2:7000")
}

func TestANameServerThatDropsOneKindOfQuestion(t *testing.T) {
	if !testnet.Own(t) {
		return
	}
	z := &zone{addrs: addrs("127.0.0.2"), dropAAAA: true}
	z.serve(t, "127.0.0.1")
	testnet.Resolvers(t, "127.0.0.1")
	accept(t, "127.0.0.2:7000")
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	reaches(t, dial.New(ctx, dial.Limits{}), "analyzer.test:7000", "127.0.0.2:7000")
	if took := time.Since(began); took > 4*time.Second { // the resolver gives the query up after 5
		t.Errorf("connected after %s: IPv4 has waited for IPv6", took)
	}
	cancel()
}

// Two silent addresses, of which the first hears nothing and the second loses
// all: the third is reached, and each had its own limit.
func TestSilentAddresses(t *testing.T) {
	if !testnet.Own(t, "nft") {
		return
	}
	z := &zone{addrs: addrs("fd00::5", "127.0.0.2", "127.0.0.3", "127.0.0.4")}
	z.serve(t, "127.0.0.1")
	testnet.Resolvers(t, "127.0.0.1")
	testnet.Run(t, "ip", "addr", "add", "fd00::5/128", "dev", "lo")
	testnet.Run(t, "nft", "add table inet t; add chain inet t in { type filter hook input priority 0; }; add rule inet t in tcp dport 7000 ip daddr { 127.0.0.2, 127.0.0.3 } drop; add rule inet t in tcp dport 7000 ip6 daddr fd00::5 drop")
	accept(t, "127.0.0.4:7000")
	d := dial.New(t.Context(), dial.Limits{Connect: 30 * time.Second})
	reaches(t, d, "analyzer.test:7000", "127.0.0.4:7000")

	z.set(func(z *zone) { z.addrs = addrs("127.0.0.2", "127.0.0.3") })
	d = dial.New(t.Context(), dial.Limits{Connect: time.Second})
	first, second := fails(t, d, "analyzer.test:7000"), fails(t, d, "analyzer.test:7000")
	for _, addr := range []string{"127.0.0.2:7000", "127.0.0.3:7000"} {
		if !strings.Contains(first.Error(), addr) {
			t.Errorf("%q does not tell of %s", first, addr)
		}
	}
	if len(first.Error()) != len(second.Error()) {
		t.Errorf("%q, then %q", first, second)
	}
}

func TestNameServersFail(t *testing.T) {
	if !testnet.Own(t) {
		return
	}
	z := &zone{addrs: addrs("127.0.0.2")}
	z.serve(t, "127.0.0.1")
	testnet.Resolvers(t, "127.0.0.1")
	accept(t, "127.0.0.2:7000")
	accept(t, "127.0.0.3:7000")
	d := dial.New(t.Context(), dial.Limits{})
	reaches(t, d, "analyzer.test:7000", "127.0.0.2:7000")

	z.set(func(z *zone) { z.refuse = true })
	reaches(t, d, "analyzer.test:7000", "127.0.0.2:7000") // as last known
	first, second := fails(t, d, "other.test:7000"), fails(t, d, "other.test:7000")
	if first.Error() != second.Error() || strings.Contains(first.Error(), "->") {
		t.Errorf("%q, then %q", first, second)
	}

	z.set(func(z *zone) { z.refuse, z.addrs = false, addrs("127.0.0.3") })
	reaches(t, d, "analyzer.test:7000", "127.0.0.3:7000") // an answer counts more

	z.set(func(z *zone) { z.addrs = nil })
	if err := fails(t, d, "analyzer.test:7000"); !strings.Contains(err.Error(), "no such host") {
		t.Errorf("%v", err)
	}
}

// Nobody listens at port 53: each question is refused at another port of ours,
// which must not make each error another one.
func TestNoNameServer(t *testing.T) {
	if !testnet.Own(t) {
		return
	}
	testnet.Resolvers(t, "127.0.0.1")
	d := dial.New(t.Context(), dial.Limits{})
	first, second := fails(t, d, "analyzer.test:7000"), fails(t, d, "analyzer.test:7000")
	if first.Error() != second.Error() || !strings.Contains(first.Error(), "connection refused") {
		t.Errorf("%q, then %q", first, second)
	}
}

// A path that swallows full-size packets: only small segments get through.
func TestSmallSegmentsPassAPathThatSwallowsLargePackets(t *testing.T) {
	if !testnet.Own(t, "nft") {
		return
	}
	testnet.Run(t, "ip", "link", "set", "lo", "mtu", "1500", "gso_max_segs", "1") // so that the rule sees packets as they are on a wire
	testnet.Run(t, "nft", "add table ip t; add chain ip t in { type filter hook input priority 0; }; add rule ip t in tcp dport 7000 meta length > 1200 drop")
	ln, err := net.Listen("tcp", "127.0.0.1:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const size = 100_000
	d := dial.New(t.Context(), dial.Limits{})
	arrives := func(wait time.Duration, options ...dial.Option) error {
		c, err := d.Dial(t.Context(), "127.0.0.1:7000", options...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		there, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		end := time.Now().Add(wait)
		_, _ = c.SetWriteDeadline(end), there.SetReadDeadline(end)
		if _, err := c.Write(make([]byte, size)); err != nil {
			return err
		}
		_, err = io.ReadFull(there, make([]byte, size))
		return err
	}
	if arrives(2*time.Second) == nil {
		t.Skip("SKIPPED: full-size packets pass here, so this shows nothing")
	}
	if err := arrives(await.Patience, dial.SmallSegments); err != nil {
		t.Error(err)
	}
}
