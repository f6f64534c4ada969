package e2e

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestPreemptedKeepsItsVIP: a MASTER that hears the first advert of a better one, and no announcement, keeps the VIP for a second.
// It does not defend it, and neither director reports a second MASTER.
//
// Proves docs/failover.md: "its announcement of each VIP, at most 1 s after its first advert"
func TestPreemptedKeepsItsVIP(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c, client := failedOver(t, shape{advert: relaxedAdvert.String()})
	moved := watchMoves(t, c.client, c.master, c.backup)
	watch, mark, begun := c.backup.watchVIP(), c.backup.daemon.Mark(), time.Now()
	c.backup.Link("eth0").Drop(lab.ToHost, "arp")
	c.master.start()
	preempted := loggedAt(t, mark.WaitLog("from=MASTER to=BACKUP", soon))
	segment := c.segment()
	if s := c.backup.status(); len(s.Problems) > 0 {
		t.Errorf("problems of lvs-backup: %v", s.Problems)
	}
	keptForASecond(t, watch, preempted)
	if sent := announcements(segment.Stop(), c.backup, preempted.Add(100*time.Millisecond), time.Now()); len(sent) > 0 {
		t.Errorf("lvs-backup was not MASTER any more, and sent %v", sent)
	}
	if s := c.master.status(); len(s.Problems) > 0 {
		t.Errorf("problems of lvs-master: %v", s.Problems)
	}
	c.awaitHolder(c.master, soon)
	client.WaitAnswered("", soon)
	moved.check(client.Stop().Since(begun))
}

// TestPreemptedByKeepalived: a director that a keepalived preempts keeps the VIP until that one has announced it.
//
// Proves docs/failover.md: "keepalived, too, sends an advert first, adds its addresses and announces them."
func TestPreemptedByKeepalived(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.Keepalived)
	lab.Long(t)
	r := timing{3, 200 * time.Millisecond}
	c := newCluster(t, shape{advert: r.advert.String()})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.backup.start()
	c.awaitHolder(c.backup, soon)
	c.awaitTable(c.backup, "10.77.0.11:3306", "10.77.0.12:3306")
	moved := watchMoves(t, c.client, c.master, c.backup)
	client := measure.Start(c.client, vipPort, patient)
	client.WaitAnswered("", soon)
	segment, watch, begun := c.segment(), c.backup.watchVIP(), time.Now()
	c.master.daemon = lab.StartKeepalived(c.master.Host, keepalivedConf(c.master.Name, r))
	ended := watch.awaitEnd(soon)
	c.awaitHolder(c.master, soon)
	client.WaitAnswered("", soon)
	result := client.Stop().Since(begun)
	moved.check(result)
	checkGap(t, result)
	announcedBefore(t, ended, announcements(segment.Stop(), c.master, begun, time.Now()))
}
