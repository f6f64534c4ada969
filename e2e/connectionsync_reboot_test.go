package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// reboot ends everything that runs on a director, and boots the machine again: with another network stack, whose kernel knows
// no connection, and without its state directory. The daemon is not started.
func (c *cluster) reboot(n *node) {
	c.t.Helper()
	n.daemon.Kill()
	n.Link("eth0").CarrierDown()
	n.Run("rm", "-rf", n.Path("state"))
	n.Host = c.net.Host(n.Name, c.lan.At(n.Address().String()+"/24"))
}

// TestStandbyReboots: the standby is rebooted while connections are open. A minute later the MASTER dies, and the connections
// on which the client has sent something since survive, as do those that were quiet.
//
// Proves docs/failover.md: "A minute after the standby was rebooted, every connection survives the loss of the MASTER."
func TestStandbyReboots(t *testing.T) {
	lab.Need(t, lab.IPVS)
	count := 20
	if !testing.Short() {
		count = 200
	}
	c := newCluster(t, shape{advert: "300ms", more: "connection_sync: {}"})
	c.answering()
	c.startAll()
	busy := measure.OpenConnections(c.client, vipPort, count/2)
	quiet := measure.OpenConnections(c.client, vipPort, count/2)
	c.awaitEntries(c.backup, count)
	c.reboot(c.backup)
	if got := entries(c.backup); len(got) != 0 {
		t.Fatalf("after the reboot: %v", got)
	}
	c.backup.start()
	booted := time.Now()
	time.Sleep(20 * time.Second)
	busy.Alive()
	time.Sleep(time.Until(booted.Add(time.Minute)))
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	for name, conns := range map[string]*measure.Connections{"busy": busy, "quiet": quiet} {
		if alive := conns.Alive(); alive["mysql1"]+alive["mysql2"] != count/2 {
			t.Errorf("%s: %v of %d survive: %v", name, alive, count/2, conns.Errors())
		}
	}
}

// comesFrom returns the server that answers a connection of the client from one of its addresses.
func (c *cluster) comesFrom(address string) (server string) {
	c.t.Helper()
	err := c.client.InNetwork(func() error {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		conn, err := d.Dial("tcp4", vipPort)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		server, err = bufio.NewReader(conn).ReadString('\n')
		return err
	})
	if err != nil {
		c.t.Fatalf("from %s: %v", address, err)
	}
	return strings.TrimSpace(server)
}

// templates returns how many clients the kernel of a node keeps on their servers.
func templates(n *node) (count int) {
	for line := range strings.Lines(n.Run("ipvsadm", "-lcn")) {
		if f := strings.Fields(line); len(f) >= 6 && strings.HasSuffix(f[3], ":0") && f[4] == vipPort {
			count++
		}
	}
	return count
}

// TestPersistence: clients whose connections have ended come back after a failover to a director that was booted later, and get
// the servers that they had.
//
// Proves docs/failover.md: "a client that comes back after a failover gets the server that it had, also from a director that
// was booted after its last connection ended."
func TestPersistence(t *testing.T) {
	lab.Need(t, lab.IPVS)
	const clients = 12
	c := newCluster(t, shape{advert: "300ms", server: "persistence: {timeout: 300s}", more: "connection_sync: {}"})
	c.answering()
	c.mysql1.start()
	c.mysql2.start()
	c.master.start()
	c.awaitHolder(c.master, soon)
	c.awaitTable(c.master, "10.77.0.11:3306", "10.77.0.12:3306")
	address := func(n int) string { return fmt.Sprintf("10.77.0.%d", 60+n) }
	had := map[string]string{}
	for n := range clients {
		c.client.Run("ip", "addr", "add", address(n)+"/24", "dev", "eth0")
		had[address(n)] = c.comesFrom(address(n))
		if n%3 == 0 {
			c.comesFrom("10.77.0.50") // so that the servers do not alternate
		}
	}
	want := templates(c.master)
	if want != clients+1 {
		t.Fatalf("%d templates", want)
	}
	c.master.awaitCounted(want)
	c.backup.start()
	lab.Eventually(t, soon, func() error {
		if got := templates(c.backup); got != want {
			return fmt.Errorf("the standby has %d of %d templates\n%s", got, want, c.backup.Run("ipvsadm", "-lcn"))
		}
		return nil
	})
	c.master.daemon.Kill()
	c.awaitHolder(c.backup, soon)
	for at, server := range had {
		if got := c.comesFrom(at); got != server {
			t.Errorf("%s had %s and gets %s", at, server, got)
		}
	}
}
