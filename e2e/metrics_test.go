package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestMetrics: what a scraper reads on both directors and on an agent is what ip and ipvsadm show, before and after a failover.
//
// Proves docs/metrics.md: "A scrape asks the kernel nothing."
func TestMetrics(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{advert: "100ms", more: "metrics: {listen: 127.0.0.1:9650, agent_listen: 127.0.0.1:9650}"})
	one, _ := c.answering()
	c.startAll()
	const connections = 7
	for range connections {
		conn, err := c.client.Dial(t.Context(), "tcp", vipPort)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	lab.Eventually(t, soon, func() error { return scrapedAs(c.master, "MASTER", 2) })
	lab.Eventually(t, soon, func() error { return scrapedAs(c.backup, "BACKUP", 2) })
	lab.Eventually(t, soon, func() error {
		have, want := scrape(c.master)[`lvs_virtual_server_connections_total{virtual_server="mysql"}`], stats(c.master)
		if have != connections || want != connections {
			return fmt.Errorf("%v connections, ipvsadm shows %v, want %d", have, want, connections)
		}
		return nil
	})
	if m := scrape(c.mysql1); m[`lvs_realserver_virtual_server_up{virtual_server="mysql",address="10.77.0.100",port="3306",forward="dr"}`] != 1 {
		t.Errorf("mysql1 is not up, of %d metrics", len(m))
	}
	const taken = `lvs_vrrp_transitions_total{vrrp_instance="mysql",state="MASTER"}`
	before := scrape(c.backup)[taken] // it may have been MASTER while the other one started
	c.master.Link("eth0").CarrierDown()
	one.Stop()
	c.awaitHolder(c.backup, soon)
	lab.Eventually(t, soon, func() error { return scrapedAs(c.master, "FAULT", 2) }) // its checks say nothing without the network
	lab.Eventually(t, soon, func() error { return scrapedAs(c.backup, "MASTER", 1) })
	m := scrape(c.backup)
	if down := m[`lvs_real_server_state{virtual_server="mysql",real_server="mysql1",state="down"}`]; m[taken] != before+1 || down != 1 {
		t.Errorf("lvs-backup: it has become MASTER %v times, %v before; mysql1 is down: %v", m[taken], before, down)
	}
}

// scrapedAs compares the metrics of a director with the kernel: whether it holds the VIP, and which real servers have a weight.
func scrapedAs(n *node, state string, servers int) error {
	m := scrape(n)
	held, left := m[`lvs_vrrp_virtual_addresses_held{vrrp_instance="mysql"}`], m[`lvs_vrrp_lease_remaining_seconds{vrrp_instance="mysql"}`]
	if m[`lvs_vrrp_state{vrrp_instance="mysql",state="`+state+`"}`] != 1 || (held == 1) != n.holds() || (held == 1) != (left > 0 && left <= 5) || (held == 1) != (state == "MASTER") {
		return fmt.Errorf("%s: want %s, it holds the VIP: %t, held %v, lease %v", n.Name, state, n.holds(), held, left)
	}
	table, up := n.table().Service(vipPort), 0
	for name, address := range map[string]string{"mysql1": "10.77.0.11:3306", "mysql2": "10.77.0.12:3306"} {
		weight := 0
		if s := table.Server(address); s.Exists() {
			weight = s.Weight
		}
		if weight > 0 {
			up++
		}
		if got := m[`lvs_real_server_weight{virtual_server="mysql",real_server="`+name+`"}`]; got != float64(weight) {
			return fmt.Errorf("%s: %s has the weight %d, the metrics say %v", n.Name, name, weight, got)
		}
	}
	if up != servers {
		return fmt.Errorf("%s: %d real servers have a weight, want %d", n.Name, up, servers)
	}
	return nil
}

// scrape reads the metrics of a node as a program on it would. Without an answer there are none.
func scrape(n *node) map[string]float64 {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, network, at string) (net.Conn, error) { return n.Dial(ctx, network, at) },
	}}
	all := map[string]float64{}
	answer, err := client.Get("http://127.0.0.1:9650/metrics")
	if err != nil {
		return all
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return all
	}
	for line := range strings.Lines(string(text)) {
		at := strings.LastIndexByte(line, ' ')
		if value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64); err == nil && line[0] != '#' {
			all[line[:at]] = value
		}
	}
	return all
}

// stats returns the connections to the VIP since the virtual server was added, by ipvsadm(8).
func stats(n *node) float64 {
	for line := range strings.Lines(n.Run("ipvsadm", "-Ln", "--stats", "--exact", "-t", vipPort)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "TCP" {
			count, err := strconv.ParseFloat(f[2], 64)
			if err == nil {
				return count
			}
		}
	}
	return -1
}
