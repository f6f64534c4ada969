package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestSmallMTU: on an interface with an MTU of 576, an advert lists 137 addresses in one packet. With one more, a reload is
// refused, and a start is in FAULT until the MTU is larger.
//
// Proves docs/operations.md: "137 of IPv4 with an MTU of 576 and version 3,"
func TestSmallMTU(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	s := shape{advert: "200ms"}
	c := newCluster(t, s)
	file := func(count int) {
		vips := []string{vip}
		for n := range count - 1 {
			vips = append(vips, fmt.Sprintf("10.77.1.%d", n+1))
		}
		text := strings.Replace(s.file(), "["+vip+"/32]", "["+strings.Join(vips, ", ")+"]", 1)
		if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.answering()
	file(137)
	c.master.Run("ip", "link", "set", "eth0", "mtu", "576")
	segment := c.segment()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.master.awaitCheck(0, "OK")
	segment.Wait(`10\.77\.0\.2 > 224\.0\.0\.18: .*prio 150, .*length 556`, soon)
	if cut := capture.Matching(segment.Stop(), `frag|length 5[67]\d`); len(cut) > 0 {
		t.Errorf("fragments: %v", cut)
	}

	file(138)
	const why = "an advert with 138 addresses has 580 bytes, and the MTU of eth0 is 576, enough for 137 addresses"
	if _, err := c.master.ctl("reload"); err == nil || !strings.Contains(err.Error(), "vrrp_instances[0].virtual_addresses: "+why) {
		t.Errorf("the reload: %v", err)
	}
	if !c.master.holds() {
		t.Error("a reload that was refused removes the VIP")
	}
	c.master.daemon.Stop()
	c.master.start()
	c.master.awaitCheck(2, "FAULT: "+why)
	c.master.Run("ip", "link", "set", "eth0", "mtu", "1500")
	c.awaitHolder(c.master, soon)
	c.master.awaitCheck(0, "OK")
}
