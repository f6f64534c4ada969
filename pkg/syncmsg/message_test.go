package syncmsg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What the master daemon of Linux 6.1 sent, captured with tcpdump: two connections, one with persistence and its template, one
// of IPv6, one of UDP; then the first of them, which its client had closed.
const (
	fromKernel = "003301040601000000060024000000000001d9980cea0cea00000000000003840a0100010a0100020a02000300060024" +
		"000000000001d9a00cea0cea00000000000003840a0100010a0100020a020003000600240000110000000000" +
		"0ceb0cea000000000000012c0a0100010a0100020a020003000600240000000000" +
		"01a8980ceb0cea00000000000003840a0100010a0100020a02000301060048000000000001d6ba0cea0cea0000000000000384" +
		"fd010000000000000000000000000001fd010000000000000000000000000002fd020000000000000000000000000003" +
		"001100240000010000" + "00e20c0035003500000000000001" + "2c0a0100010a0100020a020003"
	closedFromKernel = "0033002c01010000" + "00060024000001000007d9980cea0cea000000000000003c0a0100010a0100020a020003"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func connection(client, virtual, server string) Connection {
	return Connection{
		Protocol: TCP, Client: netip.MustParseAddrPort(client), Virtual: netip.MustParseAddrPort(virtual), Server: netip.MustParseAddrPort(server),
		State: StateEstablished, Timeout: 900 * time.Second,
	}
}

func kernelMessage() Message {
	template := connection("10.1.0.1:0", "10.1.0.2:3307", "10.2.0.3:3306")
	template.Flags, template.State, template.Timeout = FlagTemplate|FlagInactive, 0, 300*time.Second
	udp := connection("10.1.0.1:57868", "10.1.0.2:53", "10.2.0.3:53")
	udp.Protocol, udp.Flags, udp.State, udp.Timeout = UDP, FlagInactive, 0, 300*time.Second
	return Message{ID: 51, Connections: []Connection{
		connection("10.1.0.1:55704", "10.1.0.2:3306", "10.2.0.3:3306"),
		connection("10.1.0.1:55712", "10.1.0.2:3306", "10.2.0.3:3306"),
		template,
		connection("10.1.0.1:43160", "10.1.0.2:3307", "10.2.0.3:3306"),
		connection("[fd01::1]:54970", "[fd01::2]:3306", "[fd02::3]:3306"),
		udp,
	}}
}

var values = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}

// TestKernelMessages: what a kernel sends is read, and written in the same bytes.
func TestKernelMessages(t *testing.T) {
	closed := connection("10.1.0.1:55704", "10.1.0.2:3306", "10.2.0.3:3306")
	closed.Flags, closed.State, closed.Timeout = FlagInactive, 7, time.Minute
	for _, c := range []struct {
		bytes string
		want  Message
	}{{fromKernel, kernelMessage()}, {closedFromKernel, Message{ID: 51, Connections: []Connection{closed}}}} {
		b := unhex(t, c.bytes)
		got, err := Parse(b)
		if diff := cmp.Diff(c.want, got, values); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
		if back, err := c.want.Append([]byte("x")); err != nil || !bytes.Equal(back[1:], b) {
			t.Errorf("%v\n got %x\nwant %x", err, back, b)
		}
		if _, err := ParseNote(b); !errors.Is(err, ErrNoNote) {
			t.Errorf("as a note: %v", err)
		}
	}
}

// TestParameters: parameters are kept, and connections after an odd one are aligned.
func TestParameters(t *testing.T) {
	odd := connection("10.1.0.1:1", "10.1.0.2:2", "10.1.0.3:3")
	odd.Parameters = []Parameter{{Type: 2, Data: []byte("abc")}, {Type: 3, Data: []byte("sip")}}
	m := Message{ID: 1, Connections: []Connection{odd, connection("10.1.0.1:1", "10.1.0.2:2", "10.1.0.3:3"), odd}}
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := HeaderSize + 48 + 36 + 46; len(b) != want || odd.Size() != 48 {
		t.Errorf("%d bytes, want %d", len(b), want)
	}
	got, err := Parse(b)
	if diff := cmp.Diff(m, got, values); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestParseRefuses: a message that the kernel drops is an error that names the reason.
func TestParseRefuses(t *testing.T) {
	change := func(at int, to byte) []byte {
		b := unhex(t, closedFromKernel)
		b[at] = to
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, errShort},
		{"truncated", unhex(t, closedFromKernel)[:40], errSize},
		{"version 0", change(0, 1), errVersion},
		{"version 2", change(5, 2), errVersion},
		{"the reserved bytes", change(7, 1), errVersion},
		{"more connections than there are", change(4, 2), errEntry},
		{"an unknown type", change(8, 2), errFamily},
		{"IPv6 of the size of IPv4", change(8, 1), errEntry},
		{"a connection of version 1", change(10, 0x10), errVersion},
		{"a connection beyond the end", change(11, 40), errEntry},
		{"a connection without addresses", change(11, 20), errEntry},
	} {
		if _, err := Parse(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	b, _ := Message{Connections: []Connection{{Client: netip.MustParseAddrPort("10.0.0.1:1"), Virtual: netip.MustParseAddrPort("10.0.0.1:1"), Server: netip.MustParseAddrPort("10.0.0.1:1"), Parameters: []Parameter{{2, []byte{1}}}}}}.Append(nil)
	for _, length := range []byte{0, 9} {
		b[HeaderSize+size4+1] = length
		if _, err := Parse(b); !errors.Is(err, errParam) {
			t.Errorf("a parameter of length %d: %v", length, err)
		}
	}
}

// TestAppendRefuses: what does not fit into a message is an error, and adds nothing.
func TestAppendRefuses(t *testing.T) {
	mixed := connection("10.1.0.1:1", "10.1.0.2:2", "[fd00::1]:3")
	long := connection("10.1.0.1:1", "10.1.0.2:2", "10.1.0.3:3")
	for range 20 {
		long.Parameters = append(long.Parameters, Parameter{Type: 2, Data: bytes.Repeat([]byte{1}, 255)})
	}
	empty := connection("10.1.0.1:1", "10.1.0.2:2", "10.1.0.3:3")
	empty.Parameters = []Parameter{{Type: 2}}
	for name, m := range map[string]Message{
		"too many":           {Connections: make([]Connection, MaxConnections+1)},
		"no address":         {Connections: []Connection{{}}},
		"families":           {Connections: []Connection{mixed}},
		"a mapped address":   {Connections: []Connection{connection("[::ffff:10.1.0.1]:1", "[fd00::1]:3", "[fd00::1]:3")}},
		"parameters":         {Connections: []Connection{long}},
		"an empty parameter": {Connections: []Connection{empty}},
	} {
		if b, err := m.Append([]byte("x")); err == nil || string(b) != "x" || !strings.Contains(err.Error(), "encode a synchronization message") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// FuzzParse: no bytes cause a panic, and what is read is read again when it was written.
func FuzzParse(f *testing.F) {
	f.Add(unhex(f, fromKernel))
	f.Add(unhex(f, closedFromKernel))
	f.Add((&Note{ID: 51, Run: 7, Master: true}).Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = ParseNote(b)
		m, err := Parse(b)
		if err != nil {
			if len(m.Connections) > 0 {
				t.Errorf("%v, and %d connections", err, len(m.Connections))
			}
			return
		}
		for _, c := range m.Connections {
			if c.Client.Addr().Is4In6() || c.Virtual.Addr().Is4In6() || c.Server.Addr().Is4In6() {
				return // the kernel would take it, Append does not
			}
		}
		again, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(again)
		if diff := cmp.Diff(m, got, values); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// TestParseHeader: the begin of a datagram is read whatever follows, and nothing of what is shorter.
func TestParseHeader(t *testing.T) {
	whole := []byte{0, 51, 0xff, 0xff, 7, 9, 9, 9}
	for n := range whole {
		if h, ok := ParseHeader(whole[:n]); ok {
			t.Errorf("%d bytes: %+v", n, h)
		}
	}
	if h, ok := ParseHeader(whole); !ok || h != (Header{ID: 51, Connections: 7}) {
		t.Errorf("%+v, %t", h, ok)
	}
}
