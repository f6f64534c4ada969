package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestVIPMovesBetweenInstances: a reload drops an instance and gives its VIP to another one. Whichever director is
// reloaded first, and however long the other one is not, clients notice nothing and only the MASTER has the VIP.
//
// Proves docs/operations.md: "A VIP that moves from one instance of a MASTER to another stays where it is"
func TestVIPMovesBetweenInstances(t *testing.T) {
	lab.Need(t, lab.IPVS)
	for _, order := range []struct {
		name string
		of   func(c *cluster) []*node
	}{
		{"MASTER first", func(c *cluster) []*node { return []*node{c.master, c.backup} }},
		{"BACKUP first", func(c *cluster) []*node { return []*node{c.backup, c.master} }},
	} {
		t.Run(order.name, func(t *testing.T) {
			if order.name == "BACKUP first" {
				lab.LongPart(t)
			}
			moveBetweenInstances(t, order.of)
		})
	}
}

func moveBetweenInstances(t *testing.T, order func(*cluster) []*node) {
	r := timing{3, 300 * time.Millisecond}
	c := newCluster(t, shape{advert: r.advert.String()})
	const other = "  - {name: other, interface: eth0, virtual_router_id: 52, advert_interval: 300ms, per_node: {lvs-master: {priority: 150}},\n" +
		"     virtual_addresses: [10.77.0.200"
	c.edit("virtual_servers:\n", other+"]}\nvirtual_servers:\n")
	c.answering()
	c.startAll()
	watches := []*vipWatch{c.master.watchVIP(), c.backup.watchVIP()}
	measured := measure.Start(c.client, vipPort, measure.Options{Every: 20 * time.Millisecond, Timeout: time.Second})
	measured.WaitAnswered("", soon)
	begun := time.Now()

	head, rest, _ := strings.Cut(c.text(), "  - name: mysql\n    interface")
	_, tail, _ := strings.Cut(rest, "  - {name: other")
	c.net.File("cluster.yaml", head+"  - {name: other"+strings.Replace(tail, "[10.77.0.200", "[10.77.0.200, "+vip, 1))
	for _, n := range order(c) {
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%s: %v %s", n.Name, err, out)
		}
		lab.Consistently(t, 3*r.masterDown(), func() error { return c.heldOnlyBy(c.master) })
	}
	if result := measured.Stop().Since(begun); result.Failed() > 0 || result.LongestGap().Duration > 200*time.Millisecond {
		t.Errorf("clients: %s", result)
	}
	if n := len(watches[1].periods()); n > 0 {
		t.Errorf("lvs-backup held the VIP: %v", watches[1].periods())
	}
}
