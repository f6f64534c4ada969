package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
)

// TestJumboMTU: with an MTU of 9000, an advert lists 255 addresses of IPv6 in one packet of 4 128 bytes, by which the BACKUP
// knows its MASTER. With an MTU of 1500 the director is in FAULT.
//
// Proves docs/operations.md: "jumbo frames, all 255 addresses of IPv6 fit"
func TestJumboMTU(t *testing.T) {
	lab.Need(t)
	lab.Long(t)
	c := newCluster(t, shape{})
	var vips []string
	for n := range 255 {
		vips = append(vips, fmt.Sprintf(`"fd00:77::1:%x"`, n+1))
	}
	header, _, _ := strings.Cut(shape{advert: "200ms"}.file(), "virtual_servers:")
	if err := os.WriteFile(c.file, []byte(strings.Replace(header, "["+vip+"/32]", "["+strings.Join(vips, ", ")+"]", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*node{c.master, c.backup} {
		n.Link("eth0").SetMTU(9000)
	}
	segment := capture.Start(c.backup.Host, "eth0", "ip6 proto 112")
	c.master.start()
	c.backup.start()
	const last = "fd00:77::1:ff"
	c.awaitHeld(c.master, "fd00:77::1:1", last)
	segment.Wait(`> ff02::12: .*prio 150, .*length 4088`, soon)
	c.master.awaitCheck(0, "OK")
	c.backup.awaitCheck(0, "OK")
	if cut := capture.Matching(segment.Stop(), `frag`); len(cut) > 0 {
		t.Errorf("fragments: %v", cut)
	}
	c.master.daemon.Kill()
	c.awaitHeld(c.backup, "fd00:77::1:1", last)
	c.backup.Link("eth0").SetMTU(1500)
	c.backup.awaitCheck(2, "an advert with 255 addresses has 4128 bytes, and the MTU of eth0 is 1500, enough for 90 addresses")
}
