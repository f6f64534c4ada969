package ipvs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// The output of Linux 6.1: persistence of a client, a connection of each protocol and family, and one that is closed.
const connectionTable = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
UDP 0A010001 B9FE 0A010002 0035 0A020003 0035 UDP             291
TCP 0A010001 0000 0A010002 0CEB 0A020003 0CEA ASSURED         290
TCP 0A010001 0000 0A010002 0CEB 0A020004 0CEA NONE            290
IP  0A010001 0000 00000007 0000 0A020004 0000 NONE            290
TCP fd01:0000:0000:0000:0000:0000:0000:0001 B944 fd01:0000:0000:0000:0000:0000:0000:0002 0CEA fd02:0000:0000:0000:0000:0000:0000:0003 0CEA ESTABLISHED     893
TCP 0A010001 ED62 0A010002 0CEA 0A020003 0CEA ESTABLISHED     893
TCP 0A010001 ED58 0A010002 0CEA 0A020003 0CEA CLOSE_WAIT       59
TCP 0A010001 ED59 0A010002 0CEA 0A020003 0CEA SYN_RECV         59
`

func connectionOf(protocol, client, virtual, server string) lvs.Connection {
	return lvs.Connection{Protocol: protocol, Client: netip.MustParseAddrPort(client), Virtual: netip.MustParseAddrPort(virtual), Server: netip.MustParseAddrPort(server)}
}

func TestParseConnections(t *testing.T) {
	var got []lvs.Connection
	if err := parseConnections(t.Context(), strings.NewReader(connectionTable), isOpen, func(c lvs.Connection, _ string) { got = append(got, c) }); err != nil {
		t.Fatal(err)
	}
	want := []lvs.Connection{
		connectionOf("udp", "10.1.0.1:47614", "10.1.0.2:53", "10.2.0.3:53"),
		connectionOf("tcp", "10.1.0.1:0", "10.1.0.2:3307", "10.2.0.3:3306"),
		connectionOf("tcp", "10.1.0.1:0", "10.1.0.2:3307", "10.2.0.4:3306"),
		connectionOf("tcp", "[fd01::1]:47428", "[fd01::2]:3306", "[fd02::3]:3306"),
		connectionOf("tcp", "10.1.0.1:60770", "10.1.0.2:3306", "10.2.0.3:3306"),
	}
	for n, c := range got {
		if c.Template() != (n == 1 || n == 2) {
			t.Errorf("%+v: template %t", c, c.Template())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	states := map[string]int{}
	if err := parseConnections(t.Context(), strings.NewReader(connectionTable), isAny, func(_ lvs.Connection, state string) { states[state]++ }); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"UDP": 1, "ASSURED": 1, "NONE": 1, "ESTABLISHED": 2, "CLOSE_WAIT": 1, "SYN_RECV": 1}; !maps.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

func TestParseConnectionsRefuses(t *testing.T) {
	broken := errors.New("broken")
	heading := strings.SplitAfter(connectionTable, "\n")[0]
	for name, c := range map[string]struct {
		in   io.Reader
		want string
	}{
		"too few fields": {strings.NewReader(heading + "TCP 0A010001 ED62\n"), "line 2 has 3 fields"},
		"no address":     {strings.NewReader(heading + "TCP x ED62 0A010002 0CEA 0A020003 0CEA ESTABLISHED 893\n"), `line 2: "x:ED62" is not`},
		"no port":        {strings.NewReader(heading + "TCP 0A010001 ED62 0A010002 10CEA 0A020003 0CEA ESTABLISHED 893\n"), "line 2: "},
		"unreadable":     {iotest.ErrReader(broken), "broken"},
	} {
		if err := parseConnections(t.Context(), c.in, isOpen, func(lvs.Connection, string) {}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParseConnectionsEnds: reading ends with its context.
func TestParseConnectionsEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heading, line := strings.SplitAfter(connectionTable, "\n")[0], strings.SplitAfter(connectionTable, "\n")[6]
	count := 0
	err := parseConnections(ctx, strings.NewReader(heading+strings.Repeat(line, 10000)), isOpen, func(lvs.Connection, string) {
		if count++; count == 100 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || count < 100 || count > 200 {
		t.Errorf("%d lines, %v", count, err)
	}
}

// slowly takes a time for each read.
type slowly time.Duration

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(time.Duration(s))
	return len(b), nil
}

// TestUnhurried: reads that take long use a quarter of the time, others all of it. A sleep ends with the context.
func TestUnhurried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for takes, want := range map[time.Duration]time.Duration{900 * time.Microsecond: 900 * time.Microsecond, 7 * time.Millisecond: 28 * time.Millisecond} {
			begun := time.Now()
			if n, err := (&unhurried{ctx: t.Context(), r: slowly(takes), ratio: sleepRatio}).Read(make([]byte, 10)); n != 10 || err != nil || time.Since(begun) != want {
				t.Errorf("%s: %d, %v after %s", takes, n, err, time.Since(begun))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun := time.Now()
		if _, err := (&unhurried{ctx: ctx, r: slowly(30 * time.Second), ratio: sleepRatio}).Read(nil); err == nil || time.Since(begun) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}

// FuzzParseConnections: no text causes a panic, or an address that is not one.
func FuzzParseConnections(f *testing.F) {
	f.Add(connectionTable)
	f.Fuzz(func(t *testing.T, text string) {
		_ = parseConnections(context.Background(), strings.NewReader(text), isAny, func(c lvs.Connection, _ string) {
			if !c.Client.IsValid() || !c.Virtual.IsValid() || !c.Server.IsValid() {
				t.Errorf("%+v", c)
			}
			_ = fmt.Sprint(c.Hash())
		})
	})
}

// TestNoConnections: a table without connections is read; in a kernel.
func TestNoConnections(t *testing.T) {
	inNamespace(t)
	if err := Connections(t.Context(), func(c lvs.Connection) { t.Errorf("%+v", c) }); err != nil {
		t.Error(err)
	}
}
