package e2e

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// trackingLimit is the kernel's maximum of connections, which is one for all network namespaces.
const trackingLimit = "/proc/sys/net/netfilter/nf_conntrack_max"

// limitTracking sets the maximum in the guest, until the end of the scenario.
func limitTracking(t *testing.T, most string) {
	t.Helper()
	before, err := os.ReadFile(trackingLimit)
	if err == nil {
		err = os.WriteFile(trackingLimit, []byte(most), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(trackingLimit, before, 0); err != nil {
			t.Error(err)
		}
	})
}

// TestTrackingFull: the checks of a director fill the table of connection tracking, because the maximum is small. The status
// says so while packets of clients are dropped, and no server is taken for dead because of the checks that get no answer. The setting
// of the remedy ends it.
//
// Proves docs/doctor.md: "| `nf_conntrack` is full | `conntrack_nearly_full`, `conntrack_full`"
// Proves docs/operations.md: "its own packet filter or a full table of connection tracking stops the check; its last state is kept"
func TestTrackingFull(t *testing.T) {
	lab.Exclusive(t)
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", check: "{type: tcp, interval: 100ms, timeout: 90ms, fall: 3, rise: 1}"})
	c.answering()
	c.startAll()
	c.master.awaitCheck(0, "OK")
	limitTracking(t, "300")
	c.master.Run("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED", "-j", "ACCEPT") // from here on it tracks
	awaitProblem(t, c.master, problem.ConntrackFull, "of 300 at most")
	if count, err := strconv.Atoi(c.master.SysctlValue("net.netfilter.nf_conntrack_count")); err != nil || count < 285 {
		t.Errorf("the kernel tracks %d connections: %v", count, err)
	}
	m := measure.Start(c.client, vipPort, measure.Options{})
	lab.Eventually(t, soon, func() error {
		if m.Attempts().Failed() == 0 {
			return errors.New("no client has failed")
		}
		return nil
	})
	lab.Consistently(t, 5*time.Second, func() error { return tableHas(c.master, rs1, rs2) })
	limitTracking(t, "100000")
	c.master.awaitCheck(0, "OK")
	m.Stop()
	after := measure.Start(c.client, vipPort, measure.Options{})
	after.WaitAnswered("mysql1", soon)
	after.WaitAnswered("mysql2", soon)
	if result := after.Stop(); result.Failed() != 0 {
		t.Error(result)
	}
}
