package e2e

import (
	"errors"
	"testing"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// TestBackNetworkLost: the MASTER loses the interface to its real servers, but not the one of the VIP. The other
// director takes the VIP and serves, and the table of the first is kept. Nothing else tells it: adverts arrive.
//
// Proves docs/operations.md: "A director that has no way to any real server of an instance goes to FAULT, and another
// director takes the VIP."
// Proves docs/operations.md: "If there is no other director, it takes the VIP back after a master-down interval."
// Proves docs/operations.md: "So any other director takes over when it returns, whatever its priority."
func TestBackNetworkLost(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Long(t)
	c := newNATCluster(t)
	for _, n := range []*node{c.servers[0], c.servers[1], c.master, c.backup} {
		n.start()
	}
	c.awaitBoth(c.master)
	inTable := func(n *node) func() error {
		return func() error { return tableHas(n, "10.79.0.11:3307", "10.79.0.12:3307") }
	}
	for _, n := range []*node{c.master, c.backup} {
		lab.Eventually(t, soon, inTable(n))
	}
	client := measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("", soon)
	mark := c.master.daemon.Mark()
	c.master.Run("ip", "link", "set", "eth1", "down")
	t.Log(mark.WaitLog(`instance=outer .*from=MASTER to=FAULT reason="FAULT: this director has no way to the real servers of mysql`, soon).Text)
	c.awaitBoth(c.backup)
	client.WaitAnswered("mysql1", soon)
	client.WaitAnswered("mysql2", soon)
	t.Log(client.Stop())
	if err := inTable(c.master)(); err != nil {
		t.Errorf("unknown is not down: %v", err)
	}

	c.backup.daemon.Kill()
	lab.Eventually(t, soon, func() error {
		if holders := lab.Holders(vip, c.master.Host); len(holders) == 0 {
			return errors.New("nobody holds the VIP")
		}
		return nil
	})
	out, err := c.master.ctl("status", "--check")
	if lab.ExitCode(err) != 2 {
		t.Errorf("status --check of a MASTER without a way to its servers: %d: %s", lab.ExitCode(err), out)
	}

	for _, i := range c.master.status().Instances {
		if i.Name == "outer" && (i.State != "MASTER" || i.EffectivePriority != 1) {
			t.Errorf("a MASTER without a way to its servers is %s, and its effective_priority is %d", i.State, i.EffectivePriority)
		}
	}

	// The other director returns, and takes over although its own priority is the lower one.
	t.Log(c.backup.start().WaitLog(`instance=outer .*from=BACKUP to=MASTER reason="MASTER: preempted 10.77.0.2, whose priority 1 is lower than 100"`, soon).Text)
	c.awaitBoth(c.backup)
	client = measure.Start(c.client, vipPort, measure.Options{})
	client.WaitAnswered("mysql1", soon)
	client.WaitAnswered("mysql2", soon)
	t.Log(client.Stop())

	c.master.Run("ip", "link", "set", "eth1", "up")
	c.awaitBoth(c.master)
	healthy(t, c.master, c.backup)
}
