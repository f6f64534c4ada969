package addr

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestPutAs: ip(8) shows the label, the scope and the broadcast address, also after a renewal.
func TestPutAs(t *testing.T) {
	h, a := director(t)
	as := kernel.Placement{Label: "eth0:vip", Scope: kernel.ScopeHost, Broadcast: netip.MustParseAddr("10.77.0.255")}
	for range 2 {
		must(t, a.PutAs("eth0", vip1, time.Minute, as))
		if got := shown(t, h); !strings.Contains(got, "inet 10.77.0.100/32 brd 10.77.0.255 scope host dynamic eth0:vip") {
			t.Errorf("ip addr: %q", got)
		}
	}
	must(t, a.Remove("eth0", vip1))
	if got := shown(t, h); got != "" {
		t.Errorf("after the removal: %q", got)
	}
}

// TestScopesAsSources: an address with the scope link becomes the source of multicast at once, although it was added
// after the machine's own, which is why the cluster file refuses it. One with the scope host does not.
func TestScopesAsSources(t *testing.T) {
	for scope, source := range map[kernel.Scope]string{kernel.ScopeGlobal: "10.77.0.2", kernel.ScopeHost: "10.77.0.2", kernel.ScopeLink: "10.77.0.100"} {
		h, a := director(t)
		must(t, a.PutAs("eth0", vip1, time.Minute, kernel.Placement{Scope: scope}))
		if got := h.IP(t, "route get 224.0.0.18 oif eth0"); !strings.Contains(got, "src "+source) {
			t.Errorf("scope %s: %s, want the source %s", scope, got, source)
		}
	}
}

// TestSetDown: an interface is set down, also twice, and one that is gone is no error.
func TestSetDown(t *testing.T) {
	h, a := director(t)
	for range 2 {
		must(t, a.SetDown("eth0"))
		if got := h.IP(t, "link show eth0"); strings.Contains(got, ",UP") {
			t.Errorf("%s", got)
		}
	}
	must(t, a.SetDown("eth9"))
}

// TestParent: the interface below a VLAN or macvlan is told, the peer of a veth in another network namespace is not.
func TestParent(t *testing.T) {
	h, a := director(t)
	h.IP(t, "link add link eth0 name v0 type macvlan")
	links, err := a.Links()
	must(t, err)
	at := map[string]kernel.Link{}
	for _, l := range links {
		at[l.Name] = l
	}
	if at["v0"].Parent != at["eth0"].Index || at["eth0"].Parent != 0 {
		t.Errorf("the parents are %d and %d; eth0 is %d", at["v0"].Parent, at["eth0"].Parent, at["eth0"].Index)
	}
}
