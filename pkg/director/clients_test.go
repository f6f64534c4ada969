package director

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// TestReached: VIPs that are not delivered are found on the interface that has them, and those of many instances as fast
// as one: this monitor must not look stalled.
func TestReached(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		var see sight
		cfg := &config.Config{}
		for n := range byte(200) {
			vip := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 2, n}), 32)
			i := config.Instance{Name: fmt.Sprint("a", n), Interface: "eth0", VirtualAddresses: []netip.Prefix{vip}}
			i.Placements = map[netip.Addr]kernel.Placement{}
			if n == 0 {
				i.Placements[vip.Addr()] = kernel.Placement{Interface: "eth1"}
			}
			cfg.Instances = append(cfg.Instances, i)
			see.addresses = append(see.addresses, kernel.Address{Interface: i.On(vip.Addr()), Prefix: vip})
		}
		var published task.Published[sight]
		published.Set(see)
		monitor := answerMonitor{kernel: m.fakeKernel, sight: published.Load}
		m.diverted = true
		begun := time.Now()
		found := monitor.reached(t.Context(), plan.Plan{Config: cfg}, monitor.arpIgnore())
		if took := time.Since(begun); len(found) != 200 || took != removalSeen {
			t.Fatalf("%d problems within %s", len(found), took)
		}
		if text := found[0].Text; !strings.HasPrefix(text, "a0: eth1 has the VIP 10.77.2.0, ") {
			t.Error(text)
		}
		m.diverted = false
		m.set("net/ipv4/conf/eth1/arp_ignore", "8")
		if found = monitor.reached(t.Context(), plan.Plan{Config: cfg}, monitor.arpIgnore()); len(found) != 1 || found[0].Remedy != "sysctl -w net.ipv4.conf.eth1.arp_ignore=1" {
			t.Errorf("%v", found)
		}
	})
}

// TestTryIt: a client can only try a TCP service with a tool.
func TestTryIt(t *testing.T) {
	v := config.VirtualServer{Address: netip.MustParseAddr("10.77.0.100"), Port: 53, Protocol: "tcp"}
	if got := tryIt(v); got != "try it from a client: nc -vz 10.77.0.100 53 (it says open if the answers pass)" {
		t.Error(got)
	}
	v.Protocol = "udp"
	if got := tryIt(v); got != "try it from a client: ask it what its clients ask it, at 10.77.0.100, port 53" {
		t.Error(got)
	}
}
