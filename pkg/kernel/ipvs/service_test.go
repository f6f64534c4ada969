package ipvs

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// TestEngine: a persistence engine is written, read back, found in what ipvsadm wrote, and cleared; one that the kernel does not
// have is named.
func TestEngine(t *testing.T) {
	table := openTable(t)
	calls := service(5060, "rr")
	calls.Protocol, calls.Persistence, calls.Netmask, calls.Engine = "udp", 50*time.Second, 24, "sip"
	const line = "-A -u 10.77.0.100:5060 -s rr -p 50 -M 255.255.255.0 --pe sip"
	ipvsadm(t, strings.Fields(line)...)
	if ops := lvs.Diff([]lvs.Service{calls}, read(t, table), all); len(ops) > 0 {
		t.Errorf("operations to adopt what ipvsadm wrote: %v", ops)
	}
	seen, err := Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if ops := lvs.Diff(lvs.Shown([]lvs.Service{calls}), seen, all); len(ops) > 0 {
		t.Errorf("Snapshot against the table: %v", ops)
	}
	plain := calls
	plain.Engine = ""
	become(t, table, []lvs.Service{plain})
	become(t, table, []lvs.Service{calls})
	if diff := cmp.Diff([]string{line}, stock(t)); diff != "" {
		t.Error(diff)
	}
	if err := table.Engine(within(t, 10*time.Second), "sip"); err != nil {
		t.Error(err)
	}
	err = table.Engine(within(t, 10*time.Second), "nosuch")
	if !errors.Is(err, ErrNoEngine) || !strings.Contains(err.Error(), "modprobe ip_vs_pe_nosuch") {
		t.Errorf("an unknown engine: %v", err)
	}
	calls.Engine = "nosuch"
	if _, err = table.Apply(within(t, 10*time.Second), []lvs.Op{{Kind: lvs.UpdateService, Service: calls}}); !errors.Is(err, ErrNoEngine) {
		t.Errorf("an update with an unknown engine: %v", err)
	}
	if diff := cmp.Diff([]string{line}, stock(t)); diff != "" {
		t.Error(diff)
	}
}

// TestProtocols: the same address and port of each protocol, and every port, are services of their own.
func TestProtocols(t *testing.T) {
	table := openTable(t)
	var want []lvs.Service
	lines := ""
	for protocol, option := range map[string]string{"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"} {
		one := service(3306, "rr", server("10.77.0.11", config.DR, 1))
		one.Protocol = protocol
		every := service(0, "rr", lvs.Server{Address: netip.MustParseAddr("10.77.0.11"), Forward: config.DR, Weight: 1})
		every.Protocol, every.Persistence, every.Netmask = protocol, time.Minute, 32
		want = append(want, one, every)
		lines += "-A " + option + " 10.77.0.100:3306 -s rr\n-a " + option + " 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1\n" +
			"-A " + option + " 10.77.0.100:0 -s rr -p 60\n-a " + option + " 10.77.0.100:0 -r 10.77.0.11:0 -g -w 1\n"
	}
	become(t, table, want)
	if diff := cmp.Diff(sortedLines(lines), stock(t), anyOrder); diff != "" {
		t.Error(diff)
	}
	if diff := diffTables(want, read(t, table)); diff != "" {
		t.Error(diff)
	}
	seen, err := Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if ops := lvs.Diff(want, seen, all); len(ops) > 0 {
		t.Errorf("Snapshot: %v", ops)
	}
}
