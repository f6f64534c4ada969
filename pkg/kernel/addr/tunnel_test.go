package addr

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/internal/require"
)

// The operations of the agent on a TUN server: tunl0 up, with the VIP on it.
func TestTunnel(t *testing.T) {
	h, a := director(t)
	err := h.Enter(func() error { // loads the module, which creates tunl0 in every namespace
		return exec.Command("ip", "link", "add", "tun9", "type", "ipip", "remote", "10.77.0.3", "local", "10.77.0.2").Run()
	})
	if err != nil {
		require.Skip(t, require.IPIP, "%v: the lab has it", err)
	}
	must(t, a.SetUp("tunl0"))
	must(t, a.Put("tunl0", vip1, 0))
	links, err := a.Links()
	must(t, err)
	found := false
	for _, l := range links {
		if l.Name == "tunl0" {
			found = true
			if !l.Up || l.Kind != "ipip" {
				t.Errorf("tunl0 = %+v", l)
			}
		}
	}
	if !found {
		t.Errorf("no tunl0 among %+v", links)
	}
	if got := shown(t, h); !strings.Contains(got, "tunl0    inet 10.77.0.100/32 scope global") {
		t.Errorf("ip addr: %q", got)
	}
	list, err := a.List("tunl0")
	must(t, err)
	if len(list) == 0 || list[0].Prefix != vip1 {
		t.Errorf("List(tunl0) = %+v; want the VIP", list)
	}
	must(t, a.Remove("tunl0", vip1))
	if got := shown(t, h); got != "" {
		t.Errorf("ip addr: %q after Remove", got)
	}
}
