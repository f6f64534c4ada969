package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/capture"
	"github.com/lvs-director/lvs-director/e2e/lab/ipvsadm"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

const vip = "10.77.0.100"

// balanced sets up a director configured with ipvsadm, two DR real servers that run standins, and a client.
func balanced(t *testing.T) (director, client *lab.Host, servers [2]*lab.Daemon) {
	t.Helper()
	lab.Need(t, lab.IPVS)
	n := lab.New(t)
	lan := n.Bridge("lan")
	director = n.Host("director", lan.At("10.77.0.2/24"))
	client = n.Host("client", lan.At("10.77.0.50/24"))
	director.Run("ip", "addr", "add", vip+"/32", "dev", "eth0")
	director.Run("ipvsadm", "-A", "-t", vip+":3306", "-s", "wrr", "-p", "50")
	director.Run("ipvsadm", "-E", "-t", vip+":3306", "-s", "wrr")
	for i := range servers {
		address := fmt.Sprintf("10.77.0.%d", 11+i)
		server := n.Host(fmt.Sprintf("mysql%d", i+1), lan.At(address+"/24"))
		server.Sysctl("net.ipv4.conf.all.arp_ignore", "1")
		server.Sysctl("net.ipv4.conf.all.arp_announce", "2")
		server.Run("ip", "addr", "add", vip+"/32", "dev", "lo")
		servers[i] = standin.Start(server, ":3306", server.Name)
		director.Run("ipvsadm", "-a", "-t", vip+":3306", "-r", address, "-g", "-w", fmt.Sprint(3-2*i))
	}
	return director, client, servers
}

func TestIPVSTable(t *testing.T) {
	director, client, _ := balanced(t)
	service := ipvsadm.Read(director).Service(vip + ":3306")
	if service.Protocol != "TCP" || service.Scheduler != "wrr" || service.Persistent != 0 || len(service.Servers) != 2 {
		t.Errorf("service %+v", service)
	}
	held := measure.OpenConnections(client, vip+":3306", 8)
	if servers := held.Servers(); servers["mysql1"] != 6 || servers["mysql2"] != 2 {
		t.Errorf("held %v", servers)
	}
	server := ipvsadm.Read(director).Service(vip + ":3306").Server("10.77.0.11:3306")
	if want := (ipvsadm.Server{Address: "10.77.0.11:3306", Forward: "Route", Weight: 3, Active: 6}); server != want {
		t.Errorf("server %+v, want %+v", server, want)
	}
	held.CloseOf("mysql1")
	lab.Eventually(t, 5*time.Second, func() error {
		if server := ipvsadm.Read(director).Service(vip + ":3306").Server("10.77.0.11:3306"); server.Inactive != 6 {
			return fmt.Errorf("%+v", server)
		}
		return nil
	})
	if alive := held.Alive(); alive["mysql2"] != 2 || len(alive) != 1 {
		t.Errorf("alive %v", alive)
	}
}

// TestMeasureThroughADirector: the measuring client loses no connection at its usual rates through a director, so that
// the outages it reports are real.
func TestMeasureThroughADirector(t *testing.T) {
	_, client, servers := balanced(t)
	for _, every := range []time.Duration{10 * time.Millisecond, 5 * time.Millisecond} {
		t.Run(every.String(), func(t *testing.T) {
			// A long timeout, because the machine that runs the guest may be busy.
			measured := measure.Start(client, vip+":3306", measure.Options{Every: every, Timeout: 3 * time.Second})
			measured.WaitAnswered("", time.Minute)
			time.Sleep(2 * time.Second)
			result := measured.Stop()
			t.Log(result)
			if result.Failed() > 0 {
				t.Errorf("failures without an outage: %v", result.Failures())
			}
			one, two := result.AnsweredBy()["mysql1"], result.AnsweredBy()["mysql2"]
			if diff := one - 3*two; diff < -3 || diff > 3 {
				t.Errorf("answers %d and %d, want 3:1", one, two)
			}
		})
	}
	measured := measure.Start(client, vip+":3306", measure.Options{})
	measured.WaitAnswered("mysql2", time.Minute)
	servers[0].Kill()
	measured.WaitAnswered("mysql2", time.Minute)
	if result := measured.Stop(); result.Failures()["refused"] == 0 {
		t.Errorf("no connection was refused after a server was killed: %s", result)
	}
}

const keepalivedConf = `
global_defs { vrrp_garp_master_delay 1 }
vrrp_instance mysql {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority %d
  advert_int 0.1
  version 3
  virtual_ipaddress { 10.77.0.100/32 }
}
`

func TestKeepalivedFailsOver(t *testing.T) {
	n := lab.New(t)
	lan := n.Bridge("lan")
	master, backup := n.Host("lvs-master", lan.At("10.77.0.2/24")), n.Host("lvs-backup", lan.At("10.77.0.3/24"))
	client := n.Host("client", lan.At("10.77.0.50/24"))
	standin.Start(master, ":3306", "lvs-master")
	standin.Start(backup, ":3306", "lvs-backup")
	adverts := capture.Start(client, "eth0", lab.VRRP)
	first := lab.StartKeepalived(master, fmt.Sprintf(keepalivedConf, 150))
	first.WaitLog("Entering MASTER STATE", time.Minute)
	second := lab.StartKeepalived(backup, fmt.Sprintf(keepalivedConf, 100))
	second.WaitLog("Entering BACKUP STATE", time.Minute)
	if got := strings.Join(lab.Holders(vip, master, backup), " "); got != "lvs-master" {
		t.Errorf("holders %q", got)
	}
	adverts.Wait("10.77.0.2 > 224.0.0.18: VRRPv3.* vrid 51, prio 150", time.Minute)
	measured := measure.Start(client, vip+":3306", measure.Options{})
	measured.WaitAnswered("lvs-master", time.Minute)
	cut := time.Now()
	master.Link("eth0").Unplug()
	first.Kill()
	measured.WaitAnswered("lvs-backup", time.Minute)
	gap := measured.Stop().Since(cut).LongestGap()
	t.Logf("keepalived at 100 ms: %s", gap)
	if gap.Duration < 200*time.Millisecond || gap.Duration > 3*time.Second {
		t.Errorf("gap %s, want about 300 ms", gap)
	}
	packets := adverts.Stop()
	if len(capture.Matching(packets, "prio 100")) == 0 {
		t.Errorf("no adverts of the backup in %d packets", len(packets))
	}
}
