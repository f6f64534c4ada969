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
