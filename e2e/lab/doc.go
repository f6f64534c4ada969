// Package lab builds small networks out of Linux namespaces for scenarios:
// switches, hosts, links with faults, MariaDB and keepalived, light stand-in
// servers, and clients that measure outages. Scenarios are ordinary Go tests.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
//
//	func TestFailover(t *testing.T) {
//		n := lab.New(t)
//		lan := n.Bridge("lan")
//		master := n.Host("lvs-master", lan.At("10.77.0.2/24"))
//		client := n.Host("client", lan.At("10.77.0.50/24"))
//		lab.Answering(n.Host("web1", lan.At("10.77.0.11/24")), ":80", "web1")
//
//		measured := lab.Measure(client, "10.77.0.100:80", lab.MeasureOptions{})
//		measured.WaitAnswered("", 5*time.Second)
//		cut := time.Now()
//		master.Link("eth0").Unplug()
//		measured.WaitAnswered("", 10*time.Second)
//		if gap := measured.Stop().Since(cut).LongestGap(); gap.Duration > time.Second {
//			t.Errorf("outage %s", gap)
//		}
//	}
//
// A host is a network, UTS and mount namespace without a name, held by one
// thread of the test process: when that process ends in whatever way, the
// kernel takes the namespaces, links and their processes down with it, and a
// guard takes what those have forked.
//
// The package judges by stock tools only (ip, ipvsadm, tcpdump, tc, the MySQL
// protocol). It refuses to import the product, and it never touches the
// namespaces it was started in. It needs root: in a throw-away kernel, or on a
// machine of one's own.
package lab
