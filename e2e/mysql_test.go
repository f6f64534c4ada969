package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestMySQLServerFails: however a server stops to serve (here killed and frozen; stopped is 001-2), it gets no more connections within
// fall × interval + timeout, is back after rise good checks, and nobody on the other server notices.
func TestMySQLServerFails(t *testing.T) {
	d := newDatabases(t, shape{advert: "100ms"}, lab.MariaDBOptions{})
	d.startAll()
	ways := []struct {
		name    string
		begin   func()
		end     func()
		why     string
		returns bool // the time of the return is known
	}{
		{"frozen", d.two.Pause, d.two.Resume, `down: mysql: .* 10\.77\.0\.12:3306: no answer within 500ms .*\(2 of 2\)`, true},
		{"killed", d.two.Kill, d.two.Start, `down: mysql: .* 10\.77\.0\.12:3306: connection refused.*\(2 of 2\)`, false},
	}
	for _, way := range ways {
		ok := t.Run(way.name, func(t *testing.T) {
			first, second := d.mustLogin("10.77.0.61", vipPort), d.mustLogin("10.77.0.61", vipPort)
			if first.server == second.server {
				t.Fatalf("rr gave both connections to %s", first.server)
			}
			kept, lost := first, second
			if lost.server != "mysql2" {
				kept, lost = second, first
			}
			marks := map[*node]lab.LogMark{d.master: d.master.daemon.Mark(), d.backup: d.backup.daemon.Mark()}
			rst := d.users.Capture("eth0", "tcp[tcpflags] & tcp-rst != 0 and src host "+vip)
			d.master.afterCheck(d.mysql2)
			begun := time.Now()
			way.begin()
			out := d.master.awaitInTable(rs2, false, begun)
			t.Logf("out of the table after %s", out)
			if out.over(outWithin) {
				t.Errorf("out of the table after %s, want at most %s", out, outWithin)
			}
			for n, mark := range marks {
				line := mark.WaitLog(`verdict server=mysql/mysql2 up=false .*`+way.why, soon)
				t.Logf("%s: %s", n.Name, line.Text)
			}
			waited, err := lost.sendsIntoReset(2 * time.Second)
			if err != nil {
				t.Errorf("an application of the %s server: %v", way.name, err)
			}
			t.Logf("its application learned it after %s", waited)
			if way.name == "frozen" { // nobody but the director is there to say it
				if packets := rst.Packets(); len(lab.Matching(packets, "^"+d.master.mac())) == 0 {
					t.Errorf("no reset from %s: %v", d.master.Name, packets)
				}
			}
			rst.Stop()
			for range 6 {
				if s := d.mustLogin("10.77.0.61", vipPort); s.server != "mysql1" {
					t.Errorf("a new connection went to %s", s.server)
				}
			}
			if err := kept.untouched(); err != nil {
				t.Error(err)
			}
			way.end()
			begun = time.Now()
			back := d.master.awaitInTable(rs2, true, begun)
			t.Logf("back in the table after %s", back)
			if back.over(backWithin) {
				t.Errorf("back after %s, want at most %s", back, backWithin)
			}
			if way.returns && back.notAfter < backNotBefore {
				t.Errorf("back after %s, before rise good checks can have been made (%s)", back, backNotBefore)
			}
			d.awaitTable(d.backup, rs1, rs2)
			if err := kept.untouched(); err != nil {
				t.Error(err)
			}
		})
		if !ok {
			return
		}
	}
	t.Run("dead at the start", d.deadAtStart)
}

// deadAtStart: a director that starts while a server is dead gives it no connection at all.
func (d *databases) deadAtStart(t *testing.T) {
	d.two.Kill()
	for _, n := range []*node{d.backup, d.master} {
		n.daemon.Stop()
	}
	toDead := d.mysql2.Capture("eth0", "tcp port 3306 and dst host "+vip)
	m := lab.Measure(d.client, vipPort, lab.MeasureOptions{MySQL: &lab.MySQLLogin{User: lab.AppUser, Password: lab.AppPassword}})
	d.master.start()
	m.WaitAnswered("mysql1", soon)
	served := time.Now()
	d.awaitTable(d.master, rs1)
	d.backup.start()
	d.awaitTable(d.backup, rs1)
	lab.Steadily(t, 1500*time.Millisecond, func() error {
		if d.master.IPVS().Service(vipPort).Server(rs2).Exists() {
			return fmt.Errorf("the dead server is in the table:\n%s", d.master.IPVS().Text)
		}
		return nil
	})
	r := m.Stop()
	t.Log(r)
	if failed := r.Since(served).Failed(); failed > 0 {
		t.Errorf("%d connections failed although a server lives: %s", failed, r)
	}
	if packets := toDead.Stop(); len(packets) > 0 {
		t.Errorf("%d packets went to the dead server, the first: %s", len(packets), packets[0].Text)
	}
	d.master.daemon.WaitLog(`mysql/mysql2 up=false .*down: mysql: dial 10\.77\.0\.12:3306: connection refused \(first check\)`, soon)
}
