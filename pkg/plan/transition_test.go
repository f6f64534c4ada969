package plan

import (
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// file returns a cluster file: "a@eth0/51=10.77.0.100,10.77.0.101" is an instance, "mysql@10.77.0.100:db1,db2" a
// virtual server.
func file(parts ...string) *config.Config {
	cfg := &config.Config{Directors: []config.Director{{Name: node, Address: netip.MustParseAddr("10.77.0.2")}}}
	for _, part := range parts {
		name, rest, _ := strings.Cut(part, "@")
		if head, vips, ok := strings.Cut(rest, "="); ok {
			iface, vrid, _ := strings.Cut(head, "/")
			i := config.Instance{Name: name, Interface: iface, VRID: vrid[1] - '0', ProtocolVersion: 3, Priority: 100}
			for _, vip := range strings.Split(vips, ",") {
				i.VirtualAddresses = append(i.VirtualAddresses, netip.MustParsePrefix(vip+"/32"))
			}
			cfg.Instances = append(cfg.Instances, i)
			continue
		}
		address, pool, _ := strings.Cut(rest, ":")
		v := config.VirtualServer{Name: name, Protocol: "tcp", Address: netip.MustParseAddr(address), Port: 3306}
		for n, server := range strings.Split(pool, ",") {
			v.RealServers = append(v.RealServers, config.RealServer{Name: server, Address: netip.AddrFrom4([4]byte{10, 77, 1, byte(n)}), Port: 3306})
		}
		cfg.VirtualServers = append(cfg.VirtualServers, v)
	}
	return cfg
}

// reload returns the steps of a reload: those to the plan in which checks and table follow the next file, what is
// waited for, and those to the plan in which everything follows it.
func reload(before, after *config.Config) string {
	in := inputs(before)
	first := Of(in)
	in.Next, in.Before = after, first.Links
	between := Of(in)
	steps := Transition(first, between)
	var text []string
	for _, s := range steps {
		text = append(text, s.String())
	}
	for _, key := range in.OnNewVIPs() {
		text = append(text, "await "+key.Address.String())
	}
	in.Config, in.Next = after, nil
	for _, s := range Transition(between, Of(in)) {
		text = append(text, s.String())
	}
	return strings.Join(text, "; ")
}

// A change of the announcements alone reaches the address loop and the election.
func TestReloadOfAnnouncements(t *testing.T) {
	changed := func(change func(*config.Announcements)) string {
		after := file("a@eth0/51=10.77.0.100")
		change(&after.Instances[0].Announcements)
		return reload(file("a@eth0/51=10.77.0.100"), after)
	}
	if got, want := changed(func(a *config.Announcements) { a.Refresh = time.Second }), "set the table; set the VIPs of a"; got != want {
		t.Errorf("another refresh: %s, want %s", got, want)
	}
	if got, want := changed(func(a *config.Announcements) { a.ConflictCheck = time.Second }), "set the table; set the VIPs of a; set a"; got != want {
		t.Errorf("another conflict_check: %s, want %s", got, want)
	}
}

// A change of the lease alone reaches the address loop, and the instance, whose stalls are measured by it.
func TestReloadOfALease(t *testing.T) {
	before, after := file("a@eth0/51=10.77.0.100"), file("a@eth0/51=10.77.0.100")
	before.Instances[0].Lease, after.Instances[0].Lease = time.Minute, 5*time.Second
	if got, want := reload(before, after), "set the table; set the VIPs of a; set a"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOrderOfAReload(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after *config.Config
		want          string
	}{
		{
			"nothing but the file", file("a@eth0/51=10.77.0.100"), file("a@eth0/51=10.77.0.100"),
			"set the table", // an empty table
		},
		{
			"a VIP and its virtual server: the record before the address, the table before the VIP",
			file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x"),
			file("a@eth0/51=10.77.0.100,10.77.0.101", "one@10.77.0.100:x", "two@10.77.0.101:x"),
			"record the VIPs; set the checks; set the table; await 10.77.0.101; set the VIPs of a; set a",
		},
		{
			"the first virtual server: settings before the table",
			file("a@eth0/51=10.77.0.100"), file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x"),
			"set the sysctls; open the table; set the checks; set the table",
		},
		{
			"the last one is removed: the settings are restored last",
			file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x"), file("a@eth0/51=10.77.0.100"),
			"set the checks; set the table; restore the sysctls",
		},
		{
			"another name for a virtual server: the checks know it before the table does",
			file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x"), file("a@eth0/51=10.77.0.100", "uno@10.77.0.100:x"),
			"set the checks; set the table",
		},
		{
			"a real server moves to another virtual server",
			file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x,y", "two@10.77.0.100:z"),
			file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x", "two@10.77.0.100:z,y"),
			"set the checks; set the table",
		},
		{
			"a VIP moves from an instance to another that stays", file("a@eth0/51=10.77.0.100,10.77.0.101", "b@eth0/52=10.77.0.102"),
			file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.102,10.77.0.101"),
			"set the table; set the VIPs of a, b; set a; set b",
		},
		{
			"a VIP of an instance that is removed: the VIPs of its new instance are set before it stops",
			file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.102"), file("b@eth0/52=10.77.0.102,10.77.0.100"),
			"set the table; set the VIPs of b, a; stop a; set the VIPs of b; set b",
		},
		{
			"another interface: its socket is opened first, the old one is closed last",
			file("a@eth0/51=10.77.0.100"), file("a@eth1/51=10.77.0.100"),
			"record the VIPs; open the socket of eth1; set the table; set the VIPs of a, a; stop a; set the VIPs of a; start a; " +
				"close the socket of eth0; remove the records of old VIPs",
		},
		{
			"another virtual router id", file("a@eth0/51=10.77.0.100"), file("a@eth0/52=10.77.0.100"),
			"set the table; set the VIPs of a, a; stop a; set the VIPs of a; start a",
		},
		{
			"another name is the same instance", file("a@eth0/51=10.77.0.100"), file("b@eth0/51=10.77.0.100"),
			"set the table; set the VIPs of b; set b",
		},
		{
			"two instances exchange their names", file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.101"), file("b@eth0/51=10.77.0.100", "a@eth0/52=10.77.0.101"),
			"set the table; set the VIPs of b, a; set b; set a",
		},
		{
			"an instance is added, with its interface", file("a@eth0/51=10.77.0.100"), file("a@eth0/51=10.77.0.100", "b@eth1/52=10.88.0.100"),
			"record the VIPs; open the socket of eth1; set the table; set the VIPs of a, b; start b",
		},
		{
			"everything is removed", file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x"), file(),
			"set the checks; set the table; set the VIPs of a; stop a; set the VIPs of; close the socket of eth0; " +
				"remove the records of old VIPs; restore the sysctls",
		},
	} {
		if diff := cmp.Diff(strings.Split(tt.want, "; "), strings.Split(reload(tt.before, tt.after), "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// An instance that is stopped has heirs if running instances have got all its VIPs on the same interface.
func TestHeirs(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after *config.Config
		want          string
	}{
		{"all VIPs move", file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.101"), file("a@eth0/51=10.77.0.100,10.77.0.101"), "eth0/IPv4/1"},
		{
			"to two instances", file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.101,10.77.0.102", "c@eth0/53=10.77.0.103"),
			file("a@eth0/51=10.77.0.100,10.77.0.101", "c@eth0/53=10.77.0.103,10.77.0.102"), "eth0/IPv4/1 eth0/IPv4/3",
		},
		{"one of them does not", file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.101,10.77.0.102"), file("a@eth0/51=10.77.0.100,10.77.0.101"), ""},
		{"to another interface", file("a@eth1/51=10.77.0.100", "b@eth0/52=10.77.0.101"), file("a@eth1/51=10.77.0.100,10.77.0.101"), ""},
		{"to a new instance", file("b@eth0/52=10.77.0.101"), file("a@eth0/51=10.77.0.101"), ""},
		{"to one that starts again", file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.101"), file("a@eth0/53=10.77.0.100,10.77.0.101"), ""},
		{"the VIPs are removed", file("a@eth0/51=10.77.0.100", "b@eth0/52=10.77.0.101"), file("a@eth0/51=10.77.0.100"), ""},
	} {
		var got string
		for _, s := range Transition(Of(inputs(tt.before)), Of(inputs(tt.after))) {
			if s.Do != StopInstance || s.Name != "b" {
				continue
			}
			var ids []string
			for _, id := range s.Heirs {
				ids = append(ids, string(id))
			}
			got = strings.Join(ids, " ")
		}
		if got != tt.want {
			t.Errorf("%s: the heirs are %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestStart: a start is a reload from nothing.
func TestStart(t *testing.T) {
	cfg := file("a@eth0/51=10.77.0.100", "one@10.77.0.100:x")
	in := inputs(&config.Config{})
	in.Next = cfg
	between := Of(in)
	in.Config, in.Next = cfg, nil
	var got []string
	for _, steps := range [][]Step{Transition(Plan{}, between), Transition(between, Of(in))} {
		for _, s := range steps {
			got = append(got, s.String())
		}
	}
	want := []string{
		"record the VIPs", "open the socket of eth0", "set the sysctls", "open the table", "set the checks", "set the table",
		"set the VIPs of a", "start a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAFailedStepIsTakenBack: everything that was acquired for a refused file is released, and nothing else.
func TestAFailedStepIsTakenBack(t *testing.T) {
	in := inputs(file("a@eth0/51=10.77.0.100"))
	now := Of(in)
	in.Next = file("b@eth1/52=10.88.0.100", "one@10.88.0.100:x")
	var got []string
	for _, s := range Release(Of(in), now) {
		got = append(got, s.String())
	}
	if want := "close the socket of eth1; remove the records of old VIPs; restore the sysctls"; strings.Join(got, "; ") != want {
		t.Errorf("%s, want %s", strings.Join(got, "; "), want)
	}
}

// TestBecomesAnother: an instance that becomes another virtual router is stopped and started; other changes are made
// while it runs.
func TestBecomesAnother(t *testing.T) {
	base := config.Instance{
		Name: "mysql", Interface: "eth0", VRID: 51, ProtocolVersion: 3, Priority: 100,
		VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")},
	}
	for _, tt := range []struct {
		name string
		edit func(*config.Instance)
		want bool
	}{
		{"nothing", func(*config.Instance) {}, false},
		{"priority, VIPs, lease", func(i *config.Instance) { i.Priority, i.VirtualAddresses, i.Lease = 7, nil, 9 }, false},
		{"interface", func(i *config.Instance) { i.Interface = "eth1" }, true},
		{"interface of another node", func(i *config.Instance) {
			i.PerNode = map[string]config.Instance{"lvs-backup": on(*i, "eth1")}
		}, false},
		{"interface of this node", func(i *config.Instance) {
			i.PerNode = map[string]config.Instance{"lvs-master": on(*i, "eth1")}
		}, true},
		{"virtual router id", func(i *config.Instance) { i.VRID = 52 }, true},
		{"protocol version", func(i *config.Instance) { i.ProtocolVersion = 2 }, true},
		{"name", func(i *config.Instance) { i.Name = "other" }, false},
	} {
		next := base
		tt.edit(&next)
		got := reload(&config.Config{Instances: []config.Instance{base}}, &config.Config{Instances: []config.Instance{next}})
		if stops := strings.Contains(got, "stop mysql"); stops != tt.want {
			t.Errorf("%s: %s; stopped %t, want %t", tt.name, got, stops, tt.want)
		}
	}
}

func on(i config.Instance, link string) config.Instance {
	i.Interface = link
	return i
}

func TestOnNewVIPs(t *testing.T) {
	services := []string{"one@10.77.0.100:x", "two@10.77.0.101:x", "three@10.77.0.101:y", "none@10.77.0.9:x"}
	services = append(services[:2:2], services[3])
	for _, tt := range []struct{ before, after, want string }{
		{"10.77.0.100", "10.77.0.100", ""},
		{"10.77.0.100", "10.77.0.100,10.77.0.101", "10.77.0.101"},
		{"10.77.0.101", "10.77.0.100", "10.77.0.100"},
		{"10.77.0.100", "10.77.0.102", ""},
	} {
		in := Inputs{Config: file("a@eth0/51=" + tt.before), Next: file(append(services, "a@eth0/51="+tt.after)...)}
		var got []string
		for _, key := range in.OnNewVIPs() {
			got = append(got, key.Address.String())
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("from %s to %s: %q, want %q", tt.before, tt.after, got, tt.want)
		}
	}
}

// TestWhatHappensWhileItRuns: changes other than a reload affect only what depends on them.
func TestWhatHappensWhileItRuns(t *testing.T) {
	base := inputs(vipFile())
	server := config.Subject{Server: config.ServerID{Service: "mysql", Server: "mysql1"}}
	for _, tt := range []struct {
		name string
		edit func(*Inputs)
		want string
	}{
		{"nothing", func(*Inputs) {}, ""},
		{"a real server comes up", func(in *Inputs) {
			in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{server: {Known: true, Up: true}})
		}, "set the table"},
		{"another reason for the same verdict", func(in *Inputs) {
			in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{server: {Reason: "unknown: …"}})
		}, ""},
		{"a track is down", func(in *Inputs) {
			in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{{Track: "gateway"}: {Known: true}})
		}, "set outer"},
		{"no carrier", func(in *Inputs) {
			in.Links = []kernel.Link{{Index: 2, Name: "eth0", Up: true, HardwareAddr: "02:00:00:00:00:02"}, links[1]}
		}, "set outer"},
		{"another interface of the same name", func(in *Inputs) {
			in.Links = []kernel.Link{{Index: 9, Name: "eth0", Up: true, Carrier: true, HardwareAddr: "02:00:00:00:00:09"}, links[1]}
		}, "reopen the socket of eth0"},
		{"another hardware address", func(in *Inputs) {
			in.Links = []kernel.Link{{Index: 2, Name: "eth0", Up: true, Carrier: true, HardwareAddr: "02:00:00:00:00:99"}, links[1]}
		}, "announce outer"},
		{"another own address", func(in *Inputs) {
			in.Addresses = append([]kernel.Address{}, local...)
			in.Addresses[7].Prefix = netip.MustParsePrefix("10.88.0.7/24")
		}, "set inner"},
		{"a VIP is removed", func(in *Inputs) { in.Addresses = append(local[:1:1], local[2:]...) }, ""},
		{"not ready", func(in *Inputs) { in.NotReady = "no server" }, "set outer; set inner"},
	} {
		in := base
		tt.edit(&in)
		var got []string
		for _, s := range Transition(Of(base), Of(in)) {
			got = append(got, s.String())
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, strings.Join(got, "; "), tt.want)
		}
		if back := Transition(Of(in), Of(base)); tt.name == "no carrier" && back[0].Do != ReopenSocket {
			t.Errorf("the carrier is back: %v, want the socket reopened first", back)
		}
		// Judged gives the same result as Of where it may be used.
		in.Links, in.Addresses = base.Links, base.Addresses
		everything := cmp.Exporter(func(reflect.Type) bool { return true })
		if diff := cmp.Diff(Of(in), Of(base).Judged(in), everything); diff != "" {
			t.Errorf("%s (-Of +Judged):\n%s", tt.name, diff)
		}
	}
}

// TestReloadOfAVirtualMAC: the interface is there before the VIPs move to it, and is removed after they have left it; the
// sysctls of the interface below come first, and are given back last.
func TestReloadOfAVirtualMAC(t *testing.T) {
	plain, virtual := file("a@eth0/51=10.77.0.100"), file("a@eth0/51=10.77.0.100")
	virtual.Instances[0].Virtual.MAC = true
	const on = "record the VIPs; set the sysctls; add the virtual interfaces; set the table; set the VIPs of a; set a; remove the records of old VIPs"
	if got := reload(plain, virtual); got != on {
		t.Errorf("on: %s, want %s", got, on)
	}
	const off = "record the VIPs; set the table; add the virtual interfaces; set the VIPs of a; set a; remove old virtual interfaces; remove the records of old VIPs; restore the sysctls"
	if got := reload(virtual, plain); got != off {
		t.Errorf("off: %s, want %s", got, off)
	}
	in := inputs(virtual)
	p := Of(in)
	want := map[string]string{"net/ipv4/conf/eth0/arp_ignore": "1", "net/ipv4/conf/eth0/arp_announce": "2"}
	if v := p.VIPs()[0]; v.Interface != "vrrp.1" || v.Base != "eth0" || !v.Virtual() || !maps.Equal(p.Sysctls, want) {
		t.Errorf("%+v, %v", v, p.Sysctls)
	}
	if got := p.Instances[0].Peers.Transport.From.String(); got != "00:00:5e:00:01:01" {
		t.Errorf("adverts come from %s", got)
	}
	for _, change := range []func(*config.Instance){
		func(i *config.Instance) { i.Virtual.FromBase = true },
		func(i *config.Instance) { i.Virtual = config.VirtualLink{IPvlan: true} },
		func(i *config.Instance) { i.Transport.Peers.Addresses = []netip.Addr{netip.MustParseAddr("10.77.0.3")} },
	} {
		other := file("a@eth0/51=10.77.0.100")
		other.Instances[0].Virtual.MAC = true
		change(&other.Instances[0])
		if p := Of(inputs(other)); p.Instances[0].Peers.Transport.From != (kernel.MAC{}) {
			t.Errorf("%+v: adverts come from %s", other.Instances[0].Virtual, p.Instances[0].Peers.Transport.From)
		}
	}
	in.Unmade = map[string]string{"vrrp.1": "no"}
	if got := Of(in).Instances[0].Fault(); got != "no interface vrrp.1 for the virtual addresses: no" {
		t.Errorf("%q", got)
	}
}
