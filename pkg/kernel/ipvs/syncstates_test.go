package ipvs

import (
	"context"
	"fmt"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/connsync"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// TestSyncedStates: connections that a director sends by itself, because they are quiet or because their address moves, are
// listed by the kernel that receives them in the state that the sender's kernel listed them in: those of TCP, UDP and SCTP, in both
// families, and the persistence of a client.
func TestSyncedStates(t *testing.T) {
	openTable(t)
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	_, group, _ := net.ParseCIDR("224.0.0.0/4")
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: group}); err != nil {
		t.Fatal(err)
	}
	ipvsadm(t, "--start-daemon", "backup", "--mcast-interface", "lo", "--syncid", "7")
	t.Cleanup(func() { ipvsadm(t, "--stop-daemon", "backup") })
	conn, err := net.Dial("udp4", "224.0.0.81:8848")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	want := map[lvs.Connection]string{}
	var all []syncmsg.Connection
	add := func(protocol, client, virtual, server, state string) {
		t.Helper()
		c := connectionOf(protocol, client, virtual, server)
		e, _, can := connsync.Moving(c, state, config.DR, time.Minute)
		if !can {
			t.Fatalf("%+v in state %s is not sent", c, state)
		}
		want[c] = state
		all = append(all, e)
	}
	port := 2000
	for protocol, states := range map[string][]string{
		"tcp":  {"ESTABLISHED", "SYN_SENT", "SYN_RECV", "SYNACK", "FIN_WAIT", "CLOSE_WAIT"},
		"udp":  {"UDP"},
		"sctp": {"INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE", "C-ECHOED", "ESTABLISHED"},
	} {
		for _, state := range states {
			port++
			add(protocol, fmt.Sprintf("10.1.0.1:%d", port), "10.1.0.2:3306", "10.2.0.3:3306", state)
			add(protocol, fmt.Sprintf("[fd01::1]:%d", port), "[fd01::2]:3306", "[fd02::3]:3306", state)
		}
	}
	add("tcp", "10.1.0.1:0", "10.1.0.2:3306", "10.2.0.3:3306", "ASSURED")
	quiet, _ := connsync.Entry(connectionOf("sctp", "10.1.0.9:2000", "10.1.0.2:3306", "10.2.0.3:3306"), config.NAT, 0)
	want[connectionOf("sctp", "10.1.0.9:2000", "10.1.0.2:3306", "10.2.0.3:3306")] = "ESTABLISHED"
	datagrams, err := connsync.Messages(7, append(all, quiet), 1400)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range datagrams {
		if _, err := conn.Write(d); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got := map[lvs.Connection]string{} // with those that have ended since: INIT1 lasts for few seconds
	for !maps.Equal(got, want) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
		if err := States(ctx, func(c lvs.Connection, state string) { got[c] = state }); err != nil {
			t.Fatal(err)
		}
	}
	for c, state := range want {
		if got[c] != state {
			t.Errorf("%+v was sent as %s, and is %q", c, state, got[c])
		}
	}
	open := map[string]int{}
	if err := Connections(t.Context(), func(c lvs.Connection) { open[c.Protocol]++ }); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"tcp": 3, "udp": 2, "sctp": 3}; !maps.Equal(open, want) { // with the persistence
		t.Errorf("open: %v, want %v", open, want)
	}
}
