package protocol_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/protocol"
)

func parsed(t *testing.T, frame []byte) protocol.Control {
	t.Helper()
	var c protocol.Control
	if err := protocol.ParseControl(frame[protocol.HeaderSize:], &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDistributorsNameThemselves(t *testing.T) {
	ids := []string{"a", strings.Repeat("b", protocol.MaxHopBytes)}
	if got := parsed(t, protocol.AppendHello(nil, protocol.Hello{Version: 1, Via: ids})).Hello.Via; !slices.Equal(got, ids) {
		t.Errorf("via %q", got)
	}
	if got := parsed(t, protocol.AppendWelcome(nil, protocol.Welcome{Version: 1, MaxFrame: 1, Reach: ids})).Welcome.Reach; !slices.Equal(got, ids) {
		t.Errorf("reach %q", got)
	}
}

func TestIdentitiesAreBounded(t *testing.T) {
	many := make([]string, 2*protocol.MaxHops)
	for i := range many {
		many[i] = fmt.Sprintf("%0*d", protocol.MaxHopBytes, i)
	}
	frame := protocol.AppendHello(nil, protocol.Hello{Version: 1, Agent: strings.Repeat("n", protocol.MaxIDBytes), Via: many})
	if got := parsed(t, frame).Hello.Via; !slices.Equal(got, many[:protocol.MaxHops]) {
		t.Errorf("%d identities of %d", len(got), len(many))
	}
	for _, id := range []string{"", strings.Repeat("x", protocol.MaxHopBytes+1)} {
		frame := protocol.AppendHello(nil, protocol.Hello{Version: 1, Via: []string{id}})
		var c protocol.Control
		if protocol.ParseControl(frame[protocol.HeaderSize:], &c) == nil {
			t.Errorf("an identity of %d bytes is accepted", len(id))
		}
	}
	// 40 in one frame: more than count, and no error.
	body := append([]byte{0x92, 1, 0x82, 0xa1, 'v', 1, 0xa3, 'v', 'i', 'a', 0xdc, 0, 40}, []byte(strings.Repeat("\xa1z", 40))...)
	var c protocol.Control
	if err := protocol.ParseControl(body, &c); err != nil || len(c.Hello.Via) != protocol.MaxHops {
		t.Errorf("%v, %d identities", err, len(c.Hello.Via))
	}
	// More is announced than is there.
	short := append([]byte{0x92, 1, 0x82, 0xa1, 'v', 1, 0xa3, 'v', 'i', 'a', 0xdd, 0xff, 0xff, 0xff, 0xff}, 0xa1, 'z')
	if protocol.ParseControl(short, &c) == nil {
		t.Error("four thousand million identities in two bytes are accepted")
	}
}
