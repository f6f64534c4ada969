package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// everyScheduler are the schedulers that Debian's kernels have, and the flags that they can have.
var everyScheduler = map[string][]string{
	"rr": nil, "wrr": nil, "lc": nil, "wlc": nil, "lblc": nil, "lblcr": nil, "dh": nil, "sed": nil, "nq": nil, "fo": nil, "ovf": nil,
	"sh": {"fallback", "port"}, "mh": {"fallback", "port"},
}

// A forwarding is a method, with the words of the cluster file and of ipvsadm for it.
type forwarding struct {
	name, method, server, options string
	otherFamily                   bool // it can have real servers of the other family
}

var forwardings = []forwarding{
	{name: "dr", method: "dr", options: "-g"},
	{name: "nat", method: "nat", options: "-m"},
	{name: "ipip", method: "tun", options: "-i --tun-type ipip", otherFamily: true},
	{name: "gre", method: "tun", server: ", tunnel: {type: gre, checksum: full}", options: "-i --tun-type gre --tun-csum", otherFamily: true},
	{name: "gue", method: "tun", server: ", tunnel: {type: gue, port: 5555}", options: "-i --tun-type gue --tun-port 5555 --tun-nocsum", otherFamily: true},
}

// The addresses of a virtual server and of the networks of its real servers, by family.
var (
	combinedVIPs     = map[ipFamily]string{4: "10.77.0.100", 6: "fd00:77::100"}
	combinedNetworks = map[ipFamily]string{4: "10.77.0.", 6: "fd00:77::"}
)

type ipFamily int // 4 or 6

// Services of ipvsadm by protocol, and sockets of clients.
var (
	combinedProtocols = []string{"tcp", "udp", "sctp"}
	serviceOptions    = map[string]string{"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
	socketKinds       = map[string][2]int{
		"tcp": {unix.SOCK_STREAM, unix.IPPROTO_TCP}, "udp": {unix.SOCK_DGRAM, unix.IPPROTO_UDP}, "sctp": {unix.SOCK_STREAM, unix.IPPROTO_SCTP},
	}
)

// A combination is a virtual server with two real servers.
type combination struct {
	scheduler, protocol string
	forwarding          forwarding
	family, servers     ipFamily // of the virtual server and of its real servers
	port                int
}

// allCombinations are all that the kernel takes: every scheduler with every forwarding, protocol and family; or a part of them:
// every scheduler with every forwarding, and the protocols and families by turns.
func allCombinations(part bool) (all []combination) {
	for i, scheduler := range slices.Sorted(maps.Keys(everyScheduler)) {
		for j, f := range forwardings {
			var its []combination
			for _, protocol := range combinedProtocols {
				for _, family := range []ipFamily{4, 6} {
					for _, servers := range []ipFamily{family, 10 - family} {
						if servers == family || f.otherFamily {
							its = append(its, combination{scheduler: scheduler, protocol: protocol, forwarding: f, family: family, servers: servers})
						}
					}
				}
			}
			if part {
				its = its[(i+j)%len(its):][:1]
			}
			all = append(all, its...)
		}
	}
	for n := range all {
		all[n].port = 4001 + n
	}
	return all
}

// yaml is the virtual server in a cluster file.
func (c combination) yaml() string {
	flags := ""
	if names := everyScheduler[c.scheduler]; names != nil {
		flags = ", scheduler_flags: [" + strings.Join(names, ", ") + "]"
	}
	network := combinedNetworks[c.servers]
	return fmt.Sprintf("  - {name: v%d, address: \"%s\", port: %d, protocol: %s, scheduler: %s%s, forward: %s, checks: [], real_servers: ["+
		"{name: mysql1, address: \"%s11\", weight: 3, upper_threshold: 400, lower_threshold: 300%s}, {name: mysql2, address: \"%s12\"%s}]}\n",
		c.port, combinedVIPs[c.family], c.port, c.protocol, c.scheduler, flags, c.forwarding.method, network, c.forwarding.server, network, c.forwarding.server)
}

func bracketed(address string, port int) string {
	return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String()
}

// service is how ipvsadm names the virtual server.
func (c combination) service() string {
	return serviceOptions[c.protocol] + " " + bracketed(combinedVIPs[c.family], c.port)
}

// rules are the commands of ipvsadm that make the same.
func (c combination) rules() string {
	flags := ""
	if names := everyScheduler[c.scheduler]; names != nil {
		flags = fmt.Sprintf(" -b %[1]s-%[2]s,%[1]s-%[3]s", c.scheduler, names[0], names[1])
	}
	network := combinedNetworks[c.servers]
	return fmt.Sprintf("-A %[1]s -s %[2]s%[3]s\n-a %[1]s -r %[4]s %[6]s -w 3 -x 400 -y 300\n-a %[1]s -r %[5]s %[6]s -w 1\n",
		c.service(), c.scheduler, flags, bracketed(network+"11", c.port), bracketed(network+"12", c.port), c.forwarding.options)
}

// begin sends the first packet of a connection. It is called in the network of a client.
func (c combination) begin() error {
	domain, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: c.port, Addr: netip.MustParseAddr(combinedVIPs[4]).As4()})
	if c.family == 6 {
		domain, to = unix.AF_INET6, &unix.SockaddrInet6{Port: c.port, Addr: netip.MustParseAddr(combinedVIPs[6]).As16()}
	}
	kind := socketKinds[c.protocol]
	fd, err := unix.Socket(domain, kind[0]|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, kind[1])
	if err != nil {
		return fmt.Errorf("a socket of %s: %w", c.protocol, err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect to %s: %w", c.service(), err)
	}
	if c.protocol == "udp" {
		_, err = unix.Write(fd, []byte("question\n"))
	}
	return err
}

// TestEveryScheduler: the table of each scheduler with each forwarding method and kind of tunnel, in both families, of TCP, UDP and
// SCTP, with flags and thresholds, is what ipvsadm makes of the same settings. A director that was killed finds it with its
// connections, and changes nothing.
//
// Proves docs/virtual-servers.md: "What the keys of [`virtual_servers`](cluster-file.md#virtual_servers) make of the kernel's IPVS table"
func TestEveryScheduler(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.AnyKernel(t)
	combined(t, allCombinations(true)).hasSchedulers()
}

// combined compares the table of the combinations with that of ipvsadm, before and after the director was killed.
func combined(t *testing.T, all []combination) *cluster {
	t.Helper()
	c := newCluster(t, shape{})
	file := "version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\nvrrp_instances:\n" +
		"  - {name: four, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100]}\n" +
		"  - {name: six, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [\"fd00:77::100\"]}\nvirtual_servers:\n"
	rules := ""
	for _, one := range all {
		file += one.yaml()
		rules += one.rules()
	}
	c.net.File("cluster.yaml", file)
	for address, h := range map[string]*lab.Host{"2": c.master.Host, "11": c.mysql1.Host, "12": c.mysql2.Host, "50": c.client} {
		h.Run("ip", "addr", "add", "fd00:77::"+address+"/64", "dev", "eth0", "nodad")
	}
	other := c.net.Host("other", c.lan.At("10.77.0.60/24"))
	other.Run("sh", "-c", "ipvsadm -R <"+c.net.File("table.rules", rules))
	same := func() error {
		if want, got := sorted(other.Run("ipvsadm", "-Sn")), sorted(c.master.Run("ipvsadm", "-Sn")); want != got {
			return fmt.Errorf("ipvsadm -Sn\n%s\nwant\n%s", got, want)
		}
		if want, got := thresholds(other), thresholds(c.master.Host); want != got {
			return fmt.Errorf("thresholds\n%s\nwant\n%s", got, want)
		}
		return nil
	}
	first := c.master.start()
	lab.Eventually(t, soon, same)
	if n := strings.Count(c.master.Run("ipvsadm", "-Sn"), "-A "); n != len(all) {
		t.Fatalf("the table has %d virtual servers, want %d", n, len(all))
	}
	lab.Eventually(t, soon, func() error { return holdsAll([]string{combinedVIPs[4], combinedVIPs[6]}, c.master.Host) })
	c.beginAll(all)
	counted, remembered := c.counted(), c.remembered()
	first.Kill()
	again := c.master.start()
	again.WaitLog("msg=directing", soon)
	lab.Eventually(t, soon, same)
	if log := again.Log(); strings.Contains(log, "change=") {
		t.Errorf("the table that was found was changed:\n%s", log)
	}
	if now := c.counted(); !maps.Equal(now, counted) {
		t.Errorf("entries were deleted and added: connections that they have had\n%v\nbefore the kill\n%v", now, counted)
	}
	now := c.remembered()
	for _, connection := range remembered {
		if !slices.Contains(now, connection) {
			t.Errorf("the kernel has forgotten the connection %s", connection)
		}
	}
	return c
}

// thresholds returns the real servers with their thresholds, without the numbers of their connections.
func thresholds(h *lab.Host) string {
	var all []string
	for line := range strings.Lines(h.Run("ipvsadm", "-Ln", "--thresholds")) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[0] == "->" {
			all = append(all, strings.Join(fields[:4], " "))
		}
	}
	return sorted(strings.Join(all, "\n"))
}

// beginAll has the client begin a connection to each of the virtual servers, and waits until the kernel has counted them, which it
// does every two seconds.
func (c *cluster) beginAll(all []combination) {
	c.t.Helper()
	for _, address := range combinedVIPs { // the client's neighbours: it keeps few packets for one that it does not know yet
		lab.Eventually(c.t, soon, func() error {
			_, err := c.client.Try("ping", "-c", "1", "-W", "1", address)
			return err
		})
	}
	if err := c.client.InNetwork(func() error {
		for _, one := range all {
			if err := one.begin(); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	lab.Eventually(c.t, soon, func() error {
		counted := c.counted()
		for _, one := range all {
			if n := counted[one.service()]; n != 1 {
				return fmt.Errorf("%s has had %d connections, want 1", one.service(), n)
			}
		}
		if sum := len(all) * 2; sum != total(counted) {
			return fmt.Errorf("virtual and real servers have had %d connections, want %d", total(counted), sum)
		}
		return nil
	})
}

func total(counted map[string]int) (sum int) {
	for _, n := range counted {
		sum += n
	}
	return sum
}

// counted returns how many connections each virtual server and each of its real servers has had since it was added.
func (c *cluster) counted() map[string]int {
	c.t.Helper()
	all, service := map[string]int{}, ""
	for line := range strings.Lines(c.master.Run("ipvsadm", "-Ln", "--stats", "--exact")) {
		fields := strings.Fields(line)
		name, count := "", ""
		switch {
		case len(fields) > 2 && fields[0] == "->" && service != "":
			name, count = service+" "+fields[1], fields[2]
		case len(fields) > 2 && serviceOptions[strings.ToLower(fields[0])] != "":
			service = serviceOptions[strings.ToLower(fields[0])] + " " + fields[1]
			name, count = service, fields[2]
		default:
			continue
		}
		var n int
		if _, err := fmt.Sscan(count, &n); err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		all[name] = n
	}
	return all
}

// remembered returns the connections of TCP and UDP that the kernel has, without their states. It forgets one of SCTP that is not
// answered after three seconds.
func (c *cluster) remembered() (all []string) {
	c.t.Helper()
	for line := range strings.Lines(c.master.Run("ipvsadm", "-Lnc")) {
		if fields := strings.Fields(line); len(fields) == 6 && (fields[0] == "TCP" || fields[0] == "UDP") {
			all = append(all, strings.Join([]string{fields[0], fields[3], fields[4], fields[5]}, " "))
		}
	}
	if len(all) == 0 {
		c.t.Error("the kernel has no connections")
	}
	return all
}

// TestEveryCombination: the same of every scheduler with every forwarding method, kind of tunnel, protocol and family, all in one table.
//
// Proves docs/virtual-servers.md: "What the keys of [`virtual_servers`](cluster-file.md#virtual_servers) make of the kernel's IPVS table"
func TestEveryCombination(t *testing.T) {
	lab.Need(t, lab.IPVS)
	lab.Release(t)
	combined(t, allCombinations(false))
}

// TestEveryCombinationStock: the same on the second kernel.
//
// Proves docs/virtual-servers.md: "What the keys of [`virtual_servers`](cluster-file.md#virtual_servers) make of the kernel's IPVS table"
func TestEveryCombinationStock(t *testing.T) {
	lab.Need(t, lab.IPVS, lab.StockKernel)
	lab.Release(t)
	combined(t, allCombinations(false))
}
