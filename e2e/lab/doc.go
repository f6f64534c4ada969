// Package lab builds small networks out of Linux namespaces for scenarios: switches, hosts, links with faults, and
// processes on hosts with their logs. Scenarios are ordinary Go tests.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m, standin.Roles(), measure.Roles())) }
//
//	func TestFailover(t *testing.T) {
//		n := lab.New(t)
//		lan := n.Bridge("lan")
//		master := n.Host("lvs-master", lan.At("10.77.0.2/24"))
//		client := n.Host("client", lan.At("10.77.0.50/24"))
//		standin.Start(n.Host("web1", lan.At("10.77.0.11/24")), ":80", "web1")
//
//		measured := measure.Start(client, "10.77.0.100:80", measure.Options{})
//		measured.WaitAnswered("", 5*time.Second)
//		cut := time.Now()
//		master.Link("eth0").Unplug()
//		measured.WaitAnswered("", 10*time.Second)
//		if gap := measured.Stop().Since(cut).LongestGap(); gap.Duration > time.Second {
//			t.Errorf("outage %s", gap)
//		}
//	}
//
// Other packages provide what runs on the hosts and what inspects them:
//
//   - capture: tcpdump, raw packets and floods
//   - ipvsadm: the IPVS table of a host
//   - mariadb: MariaDB servers that replicate
//   - measure: clients that measure outages or hold connections
//   - standin: lightweight servers that stand in for real ones
//   - systemd: a systemd instance on a host
//
// This package imports none of them.
//
// A host is an unnamed network, UTS and mount namespace, kept alive by one thread of the test process. However that
// process ends, the kernel then removes the namespaces and links and kills the processes that the test started; a guard
// kills the children of those.
//
// The package judges with stock tools only (ip, ipvsadm, tcpdump, tc, the MySQL protocol) and netlink. It does not
// import the product, and it never touches the namespaces it was started in. It needs root: in a throw-away kernel, or
// on a machine of your own.
package lab
