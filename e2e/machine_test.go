package e2e

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestServerBehindRouter: a real server with forward: dr is in another network. Its check succeeds, and its clients fail: the
// router gets their packets and sends them back to the VIP. The status names server and router until the server is taken out
// of the file.
//
// Proves docs/doctor.md: "| a real server behind a router with `forward: dr` | `server_behind_router` |"
func TestServerBehindRouter(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	s := shape{advert: "100ms"}
	distant := strings.Replace(s.file(), "10.77.0.12", "10.79.0.12", 1)
	c := &cluster{t: t, net: lab.New(t)}
	c.lan = c.net.Bridge("lan")
	far := c.net.Bridge("far")
	c.file = c.net.File("cluster.yaml", distant)
	c.master = c.node("lvs-master", "10.77.0.2/24", "lvs-director")
	c.backup = c.node("lvs-backup", "10.77.0.3/24", "lvs-director")
	c.mysql1 = c.node("mysql1", "10.77.0.11/24", "lvs-realserver")
	c.mysql2 = newNode(t, c.net.Host("mysql2", far.At("10.79.0.12/24")), "lvs-realserver", c.file)
	c.client = c.net.Host("client", c.lan.At("10.77.0.50/24"))
	router := c.net.Host("router", c.lan.At("10.77.0.1/24"), far.At("10.79.0.1/24"))
	router.Sysctl("net.ipv4.ip_forward", "1")
	for _, n := range []*node{c.master, c.backup, c.mysql1} {
		n.Run("ip", "route", "add", "10.79.0.0/24", "via", "10.77.0.1")
	}
	c.client.Run("ip", "route", "add", "10.79.0.0/24", "via", "10.77.0.1")
	c.mysql2.Gateway("10.79.0.1")
	c.answering()
	for _, n := range []*node{c.mysql1, c.mysql2, c.master, c.backup} {
		n.start()
	}
	c.awaitHolder(c.master, soon)
	for _, n := range []*node{c.master, c.backup} {
		n.awaitCheck(1, "mysql: real servers with forward: dr are behind a router, which sends the packets of clients back: 10.79.0.12 (through 10.77.0.1)")
	}
	wire := capture.Start(router, "eth0", "tcp and dst port 3306 and dst host "+vip)
	m := measure.Start(c.client, vipPort, measure.Options{})
	m.WaitAnswered("mysql1", soon)
	wire.Wait(` > `+vip+`\.3306: Flags \[S\]`, soon)
	time.Sleep(time.Second) // for attempts of both servers
	result := m.Stop()
	if by := result.AnsweredBy(); result.Failed() == 0 || by["mysql2"] != 0 {
		t.Errorf("answered by %v: %s", by, result)
	}
	c.net.File("cluster.yaml", strings.Replace(distant, "      - {name: mysql2, address: 10.79.0.12, weight: 1}\n", "", 1))
	for _, n := range []*node{c.master, c.backup} {
		if out, err := n.ctl("reload"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		n.awaitCheck(0, "OK")
	}
	after := measure.Start(c.client, vipPort, measure.Options{})
	after.WaitAnswered("mysql1", soon)
	if result := after.Stop(); result.Failed() != 0 {
		t.Error(result)
	}
}

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
