package director

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

const (
	pool4 = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}\n" + virtualServers
	most  = "refused, because the file may be a mistake"
)

// TestReloadThatRemovesMost: a reload refuses it and changes nothing, a forced one says what goes.
func TestReloadThatRemovesMost(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		whole := pool4 + balancing("mysql", "10.77.0.100", "dr", "10.77.0.11", "10.77.0.12", "10.77.0.13", "10.77.0.14")
		m.start(whole)
		m.pass(5 * time.Second)
		m.happened()
		m.history()
		m.file = pool4 + balancing("mysql", "10.77.0.100", "dr", "10.77.0.11")
		err := m.Reload(t.Context(), false)
		if !errors.Is(err, ErrLarge) || !strings.Contains(err.Error(), "3 of 4 real servers: mysql/mysql2, mysql/mysql3, mysql/mysql4") {
			t.Errorf("%v", err)
		}
		m.pass(time.Second)
		m.expect("a refused reload")
		m.reload(m.file)
		if log := m.log.String(); !strings.Contains(log, `level=WARN msg="the new cluster file removes most real servers" removed="3 of 4 real servers: mysql/mysql2`) {
			t.Errorf("no warning:\n%s", log)
		}
		gone := []string{"ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.12:3306", "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.13:3306", "ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.14:3306"}
		if diff := cmp.Diff(gone, slices.Sorted(slices.Values(m.history()))); diff != "" {
			t.Errorf("a forced reload: (-want +got)\n%s", diff)
		}
		m.file = whole
		if err := m.Reload(t.Context(), false); err != nil {
			t.Errorf("a file that adds: %v", err)
		}
	})
}

// TestZero: the counters of the virtual servers of the file are set to zero, and those of others are not.
func TestZero(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(pool4 + balancing("mysql", "10.77.0.100", "dr", "10.77.0.11"))
		m.pass(5 * time.Second)
		m.mu.Lock()
		m.services = append(m.services, lvs.Service{Key: lvs.Key{Protocol: "tcp", Address: m.in.Config.VirtualServers[0].Address, Port: 80}, Scheduler: "rr"})
		m.mu.Unlock()
		m.history()
		for _, name := range []string{"", "mysql"} {
			doc, err := m.Director.Zero(t.Context(), name, "root")
			if err != nil || !slices.Equal(doc.VirtualServers, []string{"mysql"}) {
				t.Errorf("%q: %+v, %v", name, doc, err)
			}
			m.expect("zero", "ipvsadm -Z tcp 10.77.0.100:3306")
		}
		if _, err := m.Director.Zero(t.Context(), "web", "root"); err == nil || err.Error() != `there is no virtual server "web": the cluster file has mysql` {
			t.Error(err)
		}
	})
}

// TestDifferenceAndTable: the difference changes nothing, and says what the reload then does.
func TestDifferenceAndTable(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		m.start(pool4 + balancing("mysql", "10.77.0.100", "dr", "10.77.0.11", "10.77.0.12"))
		m.pass(5 * time.Second)
		other := lvs.Service{Key: lvs.Key{Protocol: "tcp", Address: m.in.Config.VirtualServers[0].Address, Port: 80}, Scheduler: "rr"}
		m.mu.Lock()
		m.services = append(m.services, other)
		m.mu.Unlock()
		m.history()
		next := pool4 + balancing("mysql", "10.77.0.100", "dr", "10.77.0.11", "10.77.0.13")
		cfg, _ := config.Parse("cluster.yaml", []byte(next))
		doc, err := m.Difference(t.Context(), cfg)
		if err != nil || doc.NeedsForce || doc.RealServers != 2 || !slices.Equal(doc.Removed, []string{"mysql/mysql2"}) {
			t.Errorf("%+v, %v", doc, err)
		}
		m.expect("a difference")
		m.reload(next)
		m.pass(2 * time.Second)
		foreseen := slices.Sorted(slices.Values(append(doc.Changes, doc.AfterChecks...)))
		if diff := cmp.Diff(foreseen, slices.Sorted(slices.Values(m.history()))); diff != "" || len(foreseen) != 2 {
			t.Errorf("the reload: (-foreseen +done)\n%s", diff)
		}

		all, err := m.Table(t.Context(), false)
		if err != nil || len(all.Rules) != 4 || !slices.Contains(all.Rules, "-a -t 10.77.0.100:3306 -r 10.77.0.13:3306 -g -w 1") {
			t.Errorf("%q, %v", all.Rules, err)
		}
		foreign, err := m.Table(t.Context(), true)
		if diff := cmp.Diff([]string{"-A -t 10.77.0.100:80 -s rr"}, foreign.Rules); diff != "" || err != nil {
			t.Errorf("%s %v", diff, err)
		}
		m.mu.Lock()
		m.fail["read"] = context.DeadlineExceeded
		m.mu.Unlock()
		if _, err := m.Table(t.Context(), false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		m.mu.Lock()
		delete(m.fail, "read")
		m.mu.Unlock()
	})
}
