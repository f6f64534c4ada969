package neighbours

import (
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// TestHardwareAddrs: known neighbours are found, others are asked for, and what does not answer, is behind a router or has failed
// is missing.
func TestHardwareAddrs(t *testing.T) {
	h := netnstest.New(t)
	h.IP(t, "link add eth0 type veth peer name far")
	h.IP(t, "link set eth0 up")
	h.IP(t, "link set far up")
	h.IP(t, "addr add 10.77.0.2/24 dev eth0")
	h.IP(t, "addr add fd00:77::2/64 dev eth0 nodad")
	h.IP(t, "route add default via 10.77.0.254")
	h.IP(t, "neigh add 10.77.0.3 lladdr 02:00:00:00:00:03 dev eth0 nud stale")
	h.IP(t, "neigh add fd00:77::4 lladdr 02:00:00:00:00:04 dev eth0 nud permanent")
	h.IP(t, "neigh add 10.77.0.6 lladdr 02:00:00:00:00:06 dev eth0 nud failed")
	var of []netip.Addr
	for _, a := range []string{"10.77.0.3", "fd00:77::4", "10.77.0.5", "10.77.0.6", "10.99.0.1"} {
		of = append(of, netip.MustParseAddr(a))
	}
	h.Do(t, func() error {
		found, err := HardwareAddrs(of)
		if len(found) != 2 || found[of[0]] != (kernel.HardwareAddr{2, 0, 0, 0, 0, 3}) || found[of[1]] != (kernel.HardwareAddr{2, 0, 0, 0, 0, 4}) {
			t.Errorf("found %v", found)
		}
		return err
	})
	for deadline := time.Now().Add(30 * time.Second); ; { // 10.77.0.5 has been asked for
		if out := h.IP(t, "neigh show 10.77.0.5 nud all"); out != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a neighbour that is not known was not asked for")
		}
	}
}
