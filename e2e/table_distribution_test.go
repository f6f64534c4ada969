package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// distributed are the virtual servers of TestDistribution, each with a VIP of its own and mysql1 and mysql2 with these weights.
var distributed = []struct {
	name, scheduler string
	weights         [2]int
}{
	{"sed", "sed", [2]int{3, 1}},
	{"nq", "nq", [2]int{3, 1}},
	{"fo", "fo", [2]int{1, 2}},
	{"ovf", "ovf", [2]int{5, 3}},
	{"lblc", "lblc", [2]int{10, 10}},
	{"lblcr", "lblcr", [2]int{10, 10}},
	{"dh", "dh", [2]int{3, 1}},
	{"sh", "sh", [2]int{3, 1}},
	{"sh-fallback", "sh, scheduler_flags: [fallback]", [2]int{3, 1}},
	{"sh-port", "sh, scheduler_flags: [port]", [2]int{1, 1}},
}

// distributionVIP is the VIP of the virtual server with this name.
func distributionVIP(name string) string {
	for n, d := range distributed {
		if d.name == name {
			return fmt.Sprintf("10.77.0.%d", 110+n)
		}
	}
	return ""
}

func distributionFile() string {
	var vips, servers strings.Builder
	for _, d := range distributed {
		fmt.Fprintf(&vips, "%s, ", distributionVIP(d.name))
		fmt.Fprintf(&servers, "  - {name: %s, address: %s, port: 3306, scheduler: %s, forward: dr, checks: [{type: tcp}], real_servers: ["+
			"{name: mysql1, address: 10.77.0.11, weight: %d}, {name: mysql2, address: 10.77.0.12, weight: %d}]}\n", d.name, distributionVIP(d.name), d.scheduler, d.weights[0], d.weights[1])
	}
	return "version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\nvrrp_instances: [{name: mysql, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, " +
		"virtual_addresses: [" + strings.TrimSuffix(vips.String(), ", ") + "]}]\nvirtual_servers:\n" + servers.String()
}

// TestDistribution: the schedulers that TestSchedulers and TestMaglev do not have distribute connections by their rules.
//
// Proves docs/virtual-servers.md: "the one with the highest weight until it has one active connection more than its weight, then the next"
// Proves docs/virtual-servers.md: "transparent proxies. Clients of one VIP go to one server"
func TestDistribution(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newCluster(t, shape{})
	c.net.File("cluster.yaml", distributionFile())
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	var batch strings.Builder
	for _, address := range clientAddresses() {
		fmt.Fprintf(&batch, "addr add %s/24 dev eth0\n", address)
	}
	c.client.Run("ip", "-batch", c.net.File("addresses", batch.String()))
	for _, d := range distributed {
		lab.Eventually(t, soon, func() error {
			at := distributionVIP(d.name)
			if service := c.master.table().Service(at + ":3306"); len(service.Servers) != 2 || len(lab.Holders(at, c.master.Host)) != 1 {
				return fmt.Errorf("%s is not served yet: %+v", d.name, service)
			}
			return nil
		})
	}
	t.Run("sed", func(t *testing.T) { distribution{c, t, "sed"}.shortest(2, 0) })
	t.Run("nq", func(t *testing.T) { distribution{c, t, "nq"}.shortest(1, 1) })
	t.Run("fo", func(t *testing.T) { distribution{c, t, "fo"}.failsOver() })
	t.Run("ovf", func(t *testing.T) { distribution{c, t, "ovf"}.overflows() })
	t.Run("lblc", func(t *testing.T) { distribution{c, t, "lblc"}.locality(11, 15) })
	t.Run("lblcr", func(t *testing.T) { distribution{c, t, "lblcr"}.locality(13, 13) })
	t.Run("dh", func(t *testing.T) { distribution{c, t, "dh"}.oneForAll() })
	t.Run("sh", func(t *testing.T) { distribution{c, t, "sh"}.hashed(false) })
	t.Run("sh with fallback", func(t *testing.T) { distribution{c, t, "sh-fallback"}.hashed(true) })
	t.Run("sh with port", func(t *testing.T) { distribution{c, t, "sh-port"}.hashedByPort() })
}

// distribution judges how the connections of one virtual server are distributed.
type distribution struct {
	*cluster
	t    *testing.T
	name string
}

func (d distribution) address() string { return distributionVIP(d.name) + ":3306" }

// open opens connections one after the other, of which so many must go to mysql1 and to mysql2.
func (d distribution) open(one, two int) *measure.Connections {
	d.t.Helper()
	conns := measure.OpenConnections(d.client, d.address(), one+two)
	if got := conns.Servers(); got["mysql1"] != one || got["mysql2"] != two {
		d.t.Errorf("connections went %v, want mysql1:%d mysql2:%d", got, one, two)
	}
	return conns
}

// active waits until the director counts so many connections as active.
func (d distribution) active(server string, want int) {
	d.t.Helper()
	lab.Eventually(d.t, soon, func() error {
		if got := d.master.table().Service(d.address()).Server(server).Active; got != want {
			return fmt.Errorf("%d connections of %s are active, want %d", got, server, want)
		}
		return nil
	})
}

// weigh runs lvsctl for mysql2, and waits until that has the weight.
func (d distribution) weigh(weight int, command ...string) {
	d.t.Helper()
	d.ctlPrints(d.master, 0, "", append(command, d.name+"/mysql2")...)
	lab.Eventually(d.t, soon, func() error {
		if got := d.master.table().Service(d.address()).Server("10.77.0.12:3306"); !got.Exists() || got.Weight != weight {
			return fmt.Errorf("mysql2 has %+v, want weight %d", got, weight)
		}
		return nil
	})
}

// shortest: the first two connections go (one, two), and eight 6 to 2, because the expected delay (active+1)/weight decides. Those
// that have ended do not count.
func (d distribution) shortest(one, two int) {
	begin := d.open(one, two)
	begin.Close()
	d.active("10.77.0.11:3306", 0)
	d.active("10.77.0.12:3306", 0)
	conns := d.open(6, 2)
	conns.CloseOf("mysql1")
	d.active("10.77.0.11:3306", 0)
	d.open(6, 0)
}

// failsOver: all connections go to the server with the highest weight. While that is drained new ones go to the other one, and then
// back. None is moved.
func (d distribution) failsOver() {
	first := d.open(0, 4)
	d.weigh(0, "drain")
	second := d.open(4, 0)
	d.weigh(2, "enable")
	d.open(0, 4)
	if one, two := first.Alive(), second.Alive(); one["mysql2"] != 4 || two["mysql1"] != 4 {
		d.t.Errorf("alive %v and %v, want all", one, two)
	}
}

// overflows: the server with the highest weight gets connections until it has more than its weight, then the other one. When both
// have, clients are refused.
func (d distribution) overflows() {
	conns := d.open(6, 0)
	d.open(0, 4)
	if _, err := measure.OpenOne(d.client, d.address()); !errors.Is(err, syscall.ECONNREFUSED) {
		d.t.Errorf("a connection beyond the weights of all: %v, want it refused", err)
	}
	conns.CloseOf("mysql1")
	d.active("10.77.0.11:3306", 0)
	d.open(6, 0)
}

// locality: all go to one server until that has more active connections than its weight and the other one less than half of its
// own. In the end they have few and many.
func (d distribution) locality(few, many int) {
	first := measure.OpenConnections(d.client, d.address(), 11)
	if got := first.Servers(); len(got) != 1 {
		d.t.Errorf("11 connections with weights of 10 went %v, want one server", got)
	}
	all := measure.OpenConnections(d.client, d.address(), few+many-11).Servers()
	for name, n := range first.Servers() {
		all[name] += n
	}
	if got := slices.Sorted(maps.Values(all)); !slices.Equal(got, []int{few, many}) {
		d.t.Errorf("%d connections went %v, want %d and %d", few+many, all, few, many)
	}
}

// clientAddresses are the addresses of clients whose hashes differ.
func clientAddresses() (all []netip.Addr) {
	for n := range 20 {
		all = append(all, netip.AddrFrom4([4]byte{10, 77, 0, byte(200 + n)}))
	}
	return all
}

// oneForAll: every client is answered by the same server.
func (d distribution) oneForAll() {
	got := d.answers()
	if slices.Sort(got); got[0] == "" || got[0] != got[len(got)-1] {
		d.t.Errorf("clients are answered by %v, want one server", got)
	}
}

// hashed: clients are distributed by their addresses, with shares of 3 to 1, always alike. Those of a server with weight 0 go to the
// other one, with fallback, or are refused; the others stay.
func (d distribution) hashed(fallback bool) {
	before := d.answers()
	one := 0
	for _, server := range before {
		if server == "mysql1" {
			one++
		}
	}
	if one < 14 || one > 16 { // of 20; which depends on the order of the entries
		d.t.Errorf("mysql1 answers %d of %d clients: %v", one, len(before), before)
	}
	hold := slices.Index(before, "mysql2")
	if hold < 0 {
		d.t.Fatalf("mysql2 answers no client: %v", before)
	}
	held, _, err := d.dial(netip.AddrPortFrom(clientAddresses()[hold], 0)) // so that the entry stays while it drains
	if err != nil {
		d.t.Fatal(err)
	}
	defer held.Close()
	d.weigh(0, "drain", "--force")
	want := slices.Clone(before)
	for n, server := range want {
		switch {
		case server == "mysql2" && fallback:
			want[n] = "mysql1"
		case server == "mysql2":
			want[n] = refused
		}
	}
	if got := d.answers(); !slices.Equal(got, want) {
		d.t.Errorf("without mysql2 clients are answered by\n%v\nwant\n%v", got, want)
	}
	d.weigh(1, "enable")
	if got := d.answers(); !slices.Equal(got, before) {
		d.t.Errorf("clients were answered by\n%v\nand are by\n%v", before, got)
	}
}

// hashedByPort: the connections of one client are distributed by its ports, always alike.
func (d distribution) hashedByPort() {
	var got [2][]string
	for n := range got {
		for port := range 8 {
			got[n] = append(got[n], d.answerTo(netip.AddrPortFrom(netip.MustParseAddr("10.77.0.50"), uint16(20000+port))))
		}
	}
	if !slices.Equal(got[0], got[1]) || !slices.Contains(got[0], "mysql1") || !slices.Contains(got[0], "mysql2") {
		d.t.Errorf("connections from eight ports are answered by\n%v, and again by\n%v", got[0], got[1])
	}
}

const refused = "refused"

// answers returns who answers a client with each address.
func (d distribution) answers() (servers []string) {
	d.t.Helper()
	for _, address := range clientAddresses() {
		servers = append(servers, d.answerTo(netip.AddrPortFrom(address, 0)))
	}
	return servers
}

// answerTo returns who answers a connection from this address and port, or that it is refused. The client ends it with a reset.
func (d distribution) answerTo(from netip.AddrPort) string {
	d.t.Helper()
	conn, server, err := d.dial(from)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return refused
	}
	if err != nil {
		d.t.Errorf("a connection from %s to %s: %v", from, d.address(), err)
		return ""
	}
	if err := errors.Join(conn.SetLinger(0), conn.Close()); err != nil {
		d.t.Error(err)
	}
	return server
}

// dial opens a connection from this address and port.
func (d distribution) dial(from netip.AddrPort) (conn *net.TCPConn, server string, err error) {
	err = d.client.InNetwork(func() error {
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Timeout: soon}
		c, err := dialer.Dial("tcp4", d.address())
		if err != nil {
			return err
		}
		conn = c.(*net.TCPConn)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if err = conn.SetDeadline(time.Now().Add(soon)); err == nil {
		server, err = bufio.NewReader(conn).ReadString('\n')
	}
	if err != nil {
		return nil, "", errors.Join(err, conn.Close())
	}
	return conn, strings.TrimSpace(server), nil
}
