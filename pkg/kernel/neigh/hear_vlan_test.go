package neigh

import (
	"os/exec"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/internal/require"
)

// TestHearOnAVLAN: on a VLAN interface another machine of this VLAN is heard.
func TestHearOnAVLAN(t *testing.T) {
	own, peer := neighbours(t)
	if err := own.Enter(func() error {
		return exec.Command("ip", "link", "add", "link", "eth0", "name", "lan8", "type", "vlan", "id", "8").Run()
	}); err != nil {
		require.Skip(t, require.VLAN, "ip link add type vlan: %v", err)
	}
	for address, h := range map[string]host{"192.0.2.1/24": own, "192.0.2.2/24": peer} {
		h.IP(t, "link add link eth0 name lan7 type vlan id 7")
		h.IP(t, "addr add %s dev lan7", address)
		h.IP(t, "link set lan7 up")
	}
	if err := heard(t, own, "lan7", "192.0.2.1", "192.0.2.2", time.Minute); err != nil {
		t.Error(err)
	}
}
