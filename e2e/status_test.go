package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestStatus: the output of lvsctl agrees with ipvsadm(8) and ip(8), in fields with the names that scripts rely on, and
// its exit codes are those that scripts and monitoring rely on.
//
// Proves docs/operations.md: "`lvsctl status --check` prints one line and exits with the codes of monitoring plugins:"
// Proves docs/operations.md: "`lvsctl status -o json` is stable: fields may be added but are never renamed."
func TestStatus(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{advert: "100ms", scheduler: "wrr", weights: [2]int{3, 1}})
	one, two := c.answering()
	c.startMaster()
	measure.OpenConnections(c.client, vipPort, 4)
	service := c.master.table().Service(vipPort)
	wantJSON(t, c.master, map[string]any{
		"node": "lvs-master", "role": "director",
		"vrrp_instances.0.name": "mysql", "vrrp_instances.0.state": "MASTER", "vrrp_instances.0.priority": 150.0,
		"vrrp_instances.0.effective_priority": 150.0, "vrrp_instances.0.virtual_router_id": 51.0, "vrrp_instances.0.interface": "eth0",
		"vrrp_instances.0.virtual_addresses.0": vipPrefix,
		"virtual_servers.0.name":               "mysql", "virtual_servers.0.address": vip, "virtual_servers.0.port": 3306.0,
		"virtual_servers.0.protocol": "tcp", "virtual_servers.0.scheduler": service.Scheduler, "virtual_servers.0.forward": "dr",
		"virtual_servers.0.state":               "up",
		"virtual_servers.0.real_servers.0.name": "mysql1", "virtual_servers.0.real_servers.0.address": "10.77.0.11",
		"virtual_servers.0.real_servers.0.port": 3306.0, "virtual_servers.0.real_servers.0.state": "up",
		"virtual_servers.0.real_servers.0.code": "ok", "virtual_servers.0.real_servers.0.configured_weight": 3.0,
		"virtual_servers.0.real_servers.0.weight":               float64(service.Server("10.77.0.11:3306").Weight),
		"virtual_servers.0.real_servers.0.active_connections":   float64(service.Server("10.77.0.11:3306").Active),
		"virtual_servers.0.real_servers.1.active_connections":   float64(service.Server("10.77.0.12:3306").Active),
		"virtual_servers.0.real_servers.1.inactive_connections": 0.0,
	})
	if one := service.Server("10.77.0.11:3306"); one.Weight != 3 || one.Active != 3 {
		t.Errorf("ipvsadm: %+v, want weight 3 and 3 connections", one)
	}
	c.ctlPrints(c.master, 0, "OK: lvs-master: mysql MASTER; 1 virtual server up", "status", "--check")

	two.Kill()
	lab.Eventually(t, soon, inTable(c.master, "10.77.0.12:3306", false))
	wantJSON(t, c.master, map[string]any{
		"virtual_servers.0.state": "degraded", "virtual_servers.0.real_servers.1.state": "down",
		"virtual_servers.0.real_servers.1.code": "refused", "virtual_servers.0.real_servers.1.weight": 0.0,
		"virtual_servers.0.real_servers.1.configured_weight": 1.0, "virtual_servers.0.real_servers.1.active_connections": 0.0,
	})
	c.ctlPrints(c.master, 0, "mysql2 +10.77.0.12:3306 +down .* refused +0 of 1 .*connection refused", "status")
	c.ctlPrints(c.master, 1, "WARNING: mysql: 1 of 2 real servers are up", "status", "--check")
	// The only server that is up is drained: the director refuses new clients, and says so.
	c.edit("weight: 3", "weight: 0")
	c.ctlPrints(c.master, 0, "reloaded", "reload")
	weighs := func(weight int) func() error {
		return func() error {
			if s := c.master.table().Service(vipPort).Server("10.77.0.11:3306"); !s.Exists() || s.Weight != weight {
				return fmt.Errorf("mysql1: %+v, want weight %d", s, weight)
			}
			return nil
		}
	}
	lab.Eventually(t, soon, weighs(0))
	client := measure.Start(c.client, vipPort, measure.Options{})
	lab.Eventually(t, soon, func() error {
		// The word for it is not judged: here the answer comes while connect(2) still locks the socket, which drops it.
		if r := client.Attempts(); r.Failed() < 10 || len(r.AnsweredBy()) > 0 {
			return fmt.Errorf("new clients of a drained server: %s", r)
		}
		return nil
	})
	client.Stop()
	c.ctlPrints(c.master, 2, "CRITICAL: mysql: takes no connections: of 2 real servers 1 is down, 1 is draining", "status", "--check")
	c.ctlPrints(c.master, 0, "mysql1 +10.77.0.11:3306 +draining .* ok +0 +[0-9]+ .*the weight is 0", "status")
	c.edit("weight: 0", "weight: 3")
	c.ctlPrints(c.master, 0, "reloaded", "reload")
	lab.Eventually(t, soon, weighs(3))
	one.Kill()
	lab.Eventually(t, soon, inTable(c.master, "10.77.0.11:3306", false))
	c.ctlPrints(c.master, 2, "CRITICAL: mysql: no real server is up", "status", "--check")
	c.ctlPrints(c.mysql2, 2, "CRITICAL: mysql: nothing listens on 10.77.0.100:3306: ", "status", "--check")
	c.master.daemon.Stop()
	c.ctlPrints(c.master, 3, "UNKNOWN: ", "status", "--check")
	c.ctlPrints(c.master, 1, "lvsctl: status: ", "status")

	c.ctlPrints(c.master, 0, `\S`, "version")
	c.ctlPrints(c.master, 0, "1 VRRP instance, 1 virtual server", "check", c.file)
	c.edit("scheduler: wrr", "scheduler: best")
	c.ctlPrints(c.master, 2, `cluster.yaml:20:16: virtual_servers\[0\].scheduler: `, "check", c.file)
	c.ctlPrints(c.master, 2, "/etc/lvs-director/cluster.yaml: no such file", "check")
	c.ctlPrints(c.master, 2, "unknown command", "nonsense")
	c.ctlPrints(c.master, 2, "must be table, json or yaml", "-o", "xml", "status")
}

// ctlPrints judges the output of lvsctl, on stdout or stderr, and its exit code.
func (c *cluster) ctlPrints(n *node, code int, pattern string, args ...string) {
	c.t.Helper()
	out, err := n.ctl(args...)
	if err != nil {
		out += err.Error()
	}
	if lab.ExitCode(err) != code || !regexp.MustCompile(pattern).MatchString(out) {
		c.t.Errorf("lvsctl %q: exit code %d, want %d, and %q in:\n%s", args, lab.ExitCode(err), code, pattern, out)
	}
}

// wantJSON compares fields of `lvsctl status -o json` by their paths, and checks that every state has a reason and a
// time.
func wantJSON(t *testing.T, n *node, want map[string]any) {
	t.Helper()
	out, err := n.ctl("status", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for path, value := range want {
		if got := field(document, path); got != value {
			t.Errorf("%s is %v, want %v", path, got, value)
		}
	}
	for _, path := range []string{"vrrp_instances.0", "virtual_servers.0.real_servers.0", "virtual_servers.0.real_servers.1"} {
		since, _ := field(document, path+".since").(string)
		if at, err := time.Parse(time.RFC3339, since); err != nil || time.Since(at) > time.Minute {
			t.Errorf("%s.since is %q", path, since)
		}
		if reason, _ := field(document, path+".reason").(string); !strings.Contains(reason, " ") {
			t.Errorf("%s.reason is %q, want a sentence", path, reason)
		}
	}
	for _, path := range []string{"version", "config_digest"} {
		if text, _ := field(document, path).(string); text == "" {
			t.Errorf("%s is missing", path)
		}
	}
}

// field returns the value at a path such as "real_servers.0.name"; nil if there is none.
func field(document any, path string) any {
	for _, step := range strings.Split(path, ".") {
		switch at := document.(type) {
		case map[string]any:
			document = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(at) {
				return nil
			}
			document = at[i]
		default:
			return nil
		}
	}
	return document
}
