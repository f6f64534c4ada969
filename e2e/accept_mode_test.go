package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// acceptNothing are the rules of docs/operations.md that make a VIP accept only what IPVS takes.
const acceptNothing = `table inet vips {
  chain input {
    type filter hook input priority 150;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip daddr 10.77.0.100 drop
    ip6 daddr fd00::100 drop
  }
}`

// TestAcceptMode: a rule of the packet filter behind IPVS leaves the virtual server in service and drops everything else for
// the VIP; the same rule before IPVS drops the clients.
//
// Proves docs/operations.md: "a rule at the usual priority 0, also of iptables, drops the clients of the virtual servers:"
func TestAcceptMode(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.NFTables)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.answering()
	c.startAll()
	ping := func(address string) bool {
		_, err := c.client.Try("ping", "-n", "-c1", "-W1", address)
		return err == nil
	}
	served := func(want bool) {
		t.Helper()
		m := measure.Start(c.client, vipPort, measure.Options{})
		if want {
			m.WaitAnswered("", soon)
		} else {
			time.Sleep(300 * time.Millisecond)
		}
		if result := m.Stop(); want != (result.Failed() == 0) || !want && len(result.AnsweredBy()) > 0 {
			t.Errorf("served %v is wanted: %s", want, result)
		}
	}
	if !ping(vip) {
		t.Error("the VIP does not answer before there is a rule")
	}
	served(true)
	c.master.Run("nft", acceptNothing)
	if ping(vip) || !ping("10.77.0.2") {
		t.Error("the VIP answers, or the director's own address does not")
	}
	served(true)
	c.client.Run("ip", "neigh", "flush", "to", vip) // ARP is not filtered
	served(true)
	healthy(t, c.master)
	c.master.Run("nft", "delete table inet vips")
	c.master.Run("nft", strings.Replace(acceptNothing, "priority 150", "priority 0", 1))
	served(false)
}
