package e2e

import (
	"fmt"
	"maps"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/ipvsadm"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// schedulersFile has a virtual server for each scheduler, all with the same two real servers.
const schedulersFile = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - name: mysql
    interface: eth0
    virtual_router_id: 51
    advert_interval: 100ms
    virtual_addresses: [10.77.0.100, 10.77.0.101, 10.77.0.102, 10.77.0.103]
virtual_servers:
  - {name: wrr, address: 10.77.0.100, port: 3306, scheduler: wrr, forward: dr, checks: &checks [{type: tcp}], real_servers: &three-to-one [
      {name: mysql1, address: 10.77.0.11, weight: 3}, {name: mysql2, address: 10.77.0.12, weight: 1}]}
  - {name: rr, address: 10.77.0.101, port: 3306, scheduler: rr, forward: dr, checks: *checks, real_servers: &one-to-one [
      {name: mysql1, address: 10.77.0.11}, {name: mysql2, address: 10.77.0.12}]}
  - {name: lc, address: 10.77.0.102, port: 3306, scheduler: lc, forward: dr, checks: *checks, real_servers: *one-to-one}
  - {name: wlc, address: 10.77.0.103, port: 3306, scheduler: wlc, forward: dr, checks: *checks, real_servers: *three-to-one}
`

// TestSchedulers: connections are distributed as configured, and the least-connection schedulers follow the number of
// open connections.
//
// Proves docs/cluster-file.md: "`rr` round robin, `wrr` by weight, `lc` least connections, `wlc` least connections by
// weight"
func TestSchedulers(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", schedulersFile)
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	for _, vip := range []string{"100", "101", "102", "103"} {
		lab.Eventually(t, soon, func() error {
			service := c.master.table().Service("10.77.0." + vip + ":3306")
			if len(service.Servers) != 2 || len(lab.Holders("10.77.0."+vip, c.master.Host)) != 1 {
				return fmt.Errorf("10.77.0.%s is not served yet: %+v", vip, service)
			}
			return nil
		})
	}
	t.Run("wrr", func(t *testing.T) {
		s := spread{c, t}
		s.want(measure.OpenConnections(c.client, "10.77.0.100:3306", 400), 300, 100)
		s.tableHas("10.77.0.100:3306", "wrr", ipvsadm.Server{Weight: 3, Active: 300}, ipvsadm.Server{Weight: 1, Active: 100})
	})
	t.Run("rr", func(t *testing.T) {
		s := spread{c, t}
		s.want(measure.OpenConnections(c.client, "10.77.0.101:3306", 400), 200, 200)
		s.tableHas("10.77.0.101:3306", "rr", ipvsadm.Server{Weight: 1, Active: 200}, ipvsadm.Server{Weight: 1, Active: 200})
	})
	t.Run("lc", func(t *testing.T) { spread{c, t}.leastConnections("10.77.0.102:3306", 10, 10) })
	t.Run("wlc", func(t *testing.T) { spread{c, t}.leastConnections("10.77.0.103:3306", 15, 5) })
}

// spread judges how connections are distributed.
type spread struct {
	*cluster
	t *testing.T
}

// leastConnections opens connections, of which mysql1 must get the number one and mysql2 the number two. It closes
// those of mysql1 and opens one-1 others: all of them must go to mysql1, which has none, before mysql2 gets the next.
func (s spread) leastConnections(address string, one, two int) {
	s.t.Helper()
	conns := measure.OpenConnections(s.client, address, one+two)
	s.want(conns, one, two)
	conns.CloseOf("mysql1")
	lab.Eventually(s.t, soon, func() error { // the director sees the end of a connection from its packets
		if server := s.master.table().Service(address).Server("10.77.0.11:3306"); server.Active != 0 {
			return fmt.Errorf("%d connections of mysql1 still count as open", server.Active)
		}
		return nil
	})
	again := measure.OpenConnections(s.client, address, one-1)
	s.want(again, one-1, 0)
	if alive := conns.Alive(); alive["mysql2"] != two {
		s.t.Errorf("%d of the %d connections to mysql2 are alive", alive["mysql2"], two)
	}
}

// want compares the number of connections of each server, opened one after the other. A deviation of one is allowed: a
// scheduler need not begin a round at the first connection.
func (s spread) want(conns *measure.Connections, one, two int) {
	s.t.Helper()
	got := conns.Servers()
	if d := got["mysql1"] - one; d < -1 || d > 1 || got["mysql1"]+got["mysql2"] != one+two {
		s.t.Errorf("connections went %v, want mysql1:%d mysql2:%d", got, one, two)
	}
	if alive := conns.Alive(); !maps.Equal(alive, got) {
		s.t.Errorf("alive %v of %v", alive, got)
	}
}

// tableHas compares the director's table; the numbers of active connections may deviate by one, as in want.
func (s spread) tableHas(address, scheduler string, one, two ipvsadm.Server) {
	s.t.Helper()
	service := s.master.table().Service(address)
	if service.Scheduler != scheduler {
		s.t.Errorf("the scheduler of %s is %q, want %q", address, service.Scheduler, scheduler)
	}
	for name, want := range map[string]ipvsadm.Server{"10.77.0.11:3306": one, "10.77.0.12:3306": two} {
		got := service.Server(name)
		if got.Forward != "Route" || got.Weight != want.Weight || got.Active < want.Active-1 || got.Active > want.Active+1 {
			s.t.Errorf("%s: %+v, want Route with weight %d and %d active", name, got, want.Weight, want.Active)
		}
	}
}
