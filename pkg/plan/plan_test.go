package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const node = "lvs-master"

// local are the addresses of a director with two networks that holds a VIP on each.
var local = []kernel.Address{
	{Interface: "lo", Prefix: netip.MustParsePrefix("127.0.0.1/8")},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32"), Global: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.9/24"), Global: true},
	{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.2/24"), Global: true},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("fe80::2/64")},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("169.254.0.1/16")},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.100/32"), Global: true},
	{Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.2/24"), Global: true},
}

var links = []kernel.Link{
	{Index: 2, Name: "eth0", Up: true, Carrier: true, HardwareAddr: "02:00:00:00:00:02"},
	{Index: 3, Name: "eth1", Up: true, Carrier: true, HardwareAddr: "02:00:00:00:00:03"},
}

func vipFile() *config.Config {
	return &config.Config{
		Directors: []config.Director{{Name: node, Address: netip.MustParseAddr("10.77.0.2")}},
		Instances: []config.Instance{
			{Name: "outer", Interface: "eth0", VRID: 51, Priority: 100, VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")}, Tracks: []config.TrackUse{{Name: "gateway"}}},
			{Name: "inner", Interface: "eth1", VRID: 52, Priority: 100, VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.88.0.100/32")}},
		},
		Tracks: []config.Track{
			{Name: "gateway", Address: netip.MustParseAddr("10.77.0.1"), Check: config.Check{Kind: config.TCPCheck{}, Port: 80}},
			{Name: "nobody", Address: netip.MustParseAddr("10.77.0.1"), Check: config.Check{Kind: config.TCPCheck{}, Port: 81}},
		},
		VirtualServers: []config.VirtualServer{{
			Name: "mysql", Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: 3306,
			RealServers: []config.RealServer{
				{Name: "mysql1", Address: netip.MustParseAddr("10.88.0.11"), Port: 3306},
				{Name: "mysql2", Address: netip.MustParseAddr("192.0.2.12"), Port: 3306},
			},
		}},
	}
}

// segment returns the IPv4 segment of an interface.
func segment(iface string) vrrp.Segment { return vrrp.Segment{Interface: iface, Family: kernel.IPv4} }

func inputs(cfg *config.Config) Inputs {
	return Inputs{Config: cfg, Node: node, Links: links, Addresses: local, Looked: true}
}

// TestServed: a real server in the table of a virtual server counts as served for that virtual server only.
func TestServed(t *testing.T) {
	in := inputs(vipFile())
	mysql := lvs.KeyOf(in.Config.VirtualServers[0])
	other := mysql
	other.Port++
	entry := func(address string) lvs.Server { return lvs.Server{Address: netip.MustParseAddr(address), Port: 3306} }
	in.Adopted = []lvs.Service{{Key: other, Servers: []lvs.Server{entry("192.0.2.12")}}, {Key: mysql, Servers: []lvs.Server{entry("10.88.0.11"), entry("10.88.0.99")}}}
	got := map[string]bool{}
	for _, s := range Of(in).Checks {
		got[s.Subject.String()] = s.Served
	}
	want := map[string]bool{"mysql/mysql1": true, "mysql/mysql2": false, "track gateway": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

// TestTracksOfAReload: tracks that the elections still depend on are checked until the elections follow the next file
// as well.
func TestTracksOfAReload(t *testing.T) {
	in := inputs(vipFile())
	in.Next = vipFile()
	in.Next.Instances[0].Tracks = []config.TrackUse{{Name: "nobody"}}
	in.Next.Tracks = in.Next.Tracks[1:]
	in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{{Track: "gateway"}: {Known: true, Reason: "no answer"}})
	var got []string
	p := Of(in)
	for _, s := range p.Checks {
		got = append(got, s.Subject.String())
	}
	if want := []string{"mysql/mysql1", "mysql/mysql2", "track nobody", "track gateway"}; !slices.Equal(got, want) {
		t.Errorf("checks %q, want %q", got, want)
	}
	if got := p.Instances[0].Fault(); got != "gateway: no answer" {
		t.Errorf("fault %q", got)
	}
	in.Config, in.Next = in.Next, nil
	if p := Of(in); len(p.Checks) != 3 || p.Instances[0].Fault() != "" {
		t.Errorf("afterwards: %v, %q", p.Checks, p.Instances[0].Fault())
	}
}

// TestPerNode: every part of a plan is resolved for this node, also for the next file.
func TestPerNode(t *testing.T) {
	moved := func(cfg *config.Config, nodes ...string) *config.Config {
		own := cfg.Instances[0]
		own.Interface, own.Priority, own.Tracks = "eth7", 7, []config.TrackUse{{Name: "nobody"}}
		cfg.Instances[0].PerNode = map[string]config.Instance{}
		for _, n := range nodes {
			cfg.Instances[0].PerNode[n] = own
		}
		cfg.VirtualServers[0].Forward = config.NAT
		return cfg
	}
	for _, tt := range []struct {
		name                 string
		in                   Inputs
		links, tracks, rules string
		priority             uint8
	}{
		{"of another node", inputs(moved(vipFile(), "another")), "eth0 eth1", "gateway", "eth0 eth1", 100},
		{"of this node", inputs(moved(vipFile(), node)), "eth1 eth7", "nobody", "eth1 eth7", 7},
		{
			"of this node in the next file",
			Inputs{Config: vipFile(), Next: moved(vipFile(), node), Node: node},
			"eth0 eth1 eth7", "nobody gateway", "eth1 eth7", 100,
		},
	} {
		p := Of(tt.in)
		var links, tracks, rules, records []string
		for _, l := range p.Links {
			links = append(links, l.Interface)
		}
		for _, s := range p.Checks {
			if s.Subject.Track != "" {
				tracks = append(tracks, string(s.Subject.Track))
			}
		}
		for _, l := range p.Links {
			if p.Sysctls[ConfKey(l.Interface, "send_redirects")] != "" {
				rules = append(rules, l.Interface)
			}
			if slices.ContainsFunc(p.Records, func(a kernel.IfAddr) bool { return a.Interface == l.Interface }) {
				records = append(records, l.Interface)
			}
		}
		for what, c := range map[string][2]string{
			"links":   {strings.Join(links, " "), tt.links},
			"records": {strings.Join(records, " "), tt.links},
			"checks":  {strings.Join(tracks, " "), tt.tracks},
			"sysctls": {strings.Join(rules, " "), tt.rules},
			"status":  {p.Tracks()[0].Name, strings.Fields(tt.tracks)[0]},
		} {
			if c[0] != c[1] {
				t.Errorf("%s: %s %q, want %q", tt.name, what, c[0], c[1])
			}
		}
		if got := p.Instances[0].Params.Priority; got != tt.priority || len(p.Tracks()) != 1 {
			t.Errorf("%s: priority %d, want %d; tracks %v", tt.name, got, tt.priority, p.Tracks())
		}
	}
}

func TestFaultsAreMerged(t *testing.T) {
	cfg := vipFile()
	cfg.Instances[0].Tracks = []config.TrackUse{{Name: "gateway"}, {Name: "alpha"}, {Name: "unknown"}}
	in := inputs(cfg)
	in.Links = []kernel.Link{{Name: "eth0", Up: true}}
	in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{
		{Track: "gateway"}: {Known: true, Reason: "no answer"},
		{Track: "alpha"}:   {Known: true, Reason: "refused"},
		{Track: "unknown"}: {Reason: "unknown is not down"},
		{Track: "other"}:   {Known: true, Reason: "of nobody"},
	})
	p := Of(in)
	want := "the interface eth0 has no carrier: check its cable and switch port; alpha: refused; gateway: no answer"
	if i := named(p, "outer"); i.Fault() != want || !i.LinkFault() {
		t.Errorf("%q, want %q", i.Fault(), want)
	}
	if i := named(p, "inner"); i.Fault() != "the interface eth1 does not exist" {
		t.Errorf("inner: %q", i.Fault())
	}
	in.Links = links
	if i := named(Of(in), "outer"); i.LinkFault() || i.Fault() != "alpha: refused; gateway: no answer" {
		t.Errorf("with a carrier: %q", i.Fault())
	}
	in.Looked = false
	if i := named(Of(in), "outer"); !strings.HasPrefix(i.Fault(), "the state of interface eth0 is not known yet; ") {
		t.Errorf("before the first look: %q", i.Fault())
	}
	if _, found := p.Instance("nosuch"); found {
		t.Error("an instance with an empty name was found")
	}
}

func TestExamine(t *testing.T) {
	own := netip.MustParseAddr("10.77.0.2")
	tests := []struct {
		name   string
		known  []kernel.Link
		source netip.Addr
		fault  string
	}{
		{"fine", []kernel.Link{{Name: "eth0", Up: true, Carrier: true}}, own, ""},
		{"absent", []kernel.Link{{Name: "eth1", Up: true, Carrier: true}}, own, "the interface eth0 does not exist"},
		{"down", []kernel.Link{{Name: "eth0"}}, own, "the interface eth0 is down (ip link set eth0 up)"},
		{"no carrier", []kernel.Link{{Name: "eth0", Up: true}}, own, "the interface eth0 has no carrier: check its cable and switch port"},
		{"no carrier, no address", []kernel.Link{{Name: "eth0", Up: true}}, netip.Addr{}, "the interface eth0 has no carrier: check its cable and switch port"},
		{"no address", []kernel.Link{{Name: "eth0", Up: true, Carrier: true}}, netip.Addr{}, "the interface eth0 has no IPv4 address of its own to send adverts from"},
	}
	for _, tt := range tests {
		l := examine(segment("eth0"), tt.known, tt.source, func() string { return noSource(segment("eth0"), nil, nil) })
		has := tt.source.IsValid() && (tt.fault == "" || l.NoCarrier)
		if l.Fault != tt.fault || l.Source.IsValid() != has || l.NoCarrier && l.Unaddressed == has {
			t.Errorf("%s: %q from %s, want %q", tt.name, l.Fault, l.Source, tt.fault)
		}
	}
}

func TestAdvertsComeFromAnAddressThatIsNoVIP(t *testing.T) {
	for _, tt := range []struct{ node, iface, want string }{
		{"10.77.0.2", "eth0", "10.77.0.2"}, // its own, though not the first
		{"10.77.0.3", "eth0", "10.77.0.9"}, // the first of the interface
		{"10.77.0.2", "eth1", "10.88.0.2"}, // neither IPv6 nor link-local nor a VIP
		{"10.77.0.2", "lo", "invalid IP"},
		{"10.77.0.2", "eth7", "invalid IP"},
	} {
		us := config.Director{Name: node, Address: netip.MustParseAddr(tt.node)}
		if got := source(segment(tt.iface), local, us, isVIP(vipFile())).String(); got != tt.want {
			t.Errorf("node %s on %s: %s, want %s", tt.node, tt.iface, got, tt.want)
		}
	}
}

// TestSourceOutlivesItsAddress: an instance that resigns because its address is gone still sends from that address.
func TestSourceOutlivesItsAddress(t *testing.T) {
	in := inputs(vipFile())
	in.Before = Of(in).Links
	in.Addresses = nil
	p := Of(in)
	if i := named(p, "outer"); i.Params.Source.String() != "10.77.0.2" || i.Fault() != "the interface eth0 has no IPv4 address of its own to send adverts from" {
		t.Errorf("from %s, %q", i.Params.Source, i.Fault())
	}
	in.Before = nil
	if i := named(Of(in), "outer"); i.Params.Source.IsValid() {
		t.Errorf("from %s, and there is none", i.Params.Source)
	}
}

// The kernel lists an interface's first address first.
func TestMisplacedVIPs(t *testing.T) {
	vip := isVIP(vipFile())
	behind := slices.Clone(local)
	slices.SortStableFunc(behind, func(a, b kernel.Address) int {
		switch x, y := vip(a.Prefix.Addr()), vip(b.Prefix.Addr()); {
		case x == y:
			return 0
		case x:
			return 1
		default:
			return -1
		}
	})
	alone := []kernel.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32"), Global: true}, {Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.2/24"), Global: true}}
	outer, inner := kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}, kernel.IfAddr{Interface: "eth1", Prefix: netip.MustParsePrefix("10.88.0.100/32")}
	for _, tt := range []struct {
		name  string
		local []kernel.Address
		want  []kernel.IfAddr
	}{
		{"first on both, link-local addresses ignored", local, []kernel.IfAddr{outer, inner}},
		{"last", behind, nil},
		{"without an own address there is no order", alone, nil},
	} {
		in := inputs(vipFile())
		in.Addresses = tt.local
		if got := Of(in).Misplaced; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMissingVIPs(t *testing.T) {
	outer := kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}
	in := inputs(vipFile())
	if got := Of(in).Missing; got != nil {
		t.Errorf("all are there: %v", got)
	}
	in.Addresses = slices.DeleteFunc(slices.Clone(local), func(a kernel.Address) bool { return a.Prefix == outer.Prefix })
	if got := Of(in).Missing; !slices.Equal(got, []kernel.IfAddr{outer}) {
		t.Errorf("%v, want %v", got, outer)
	}
}

func natFile() *config.Config {
	cfg := vipFile()
	cfg.VirtualServers[0].Forward = config.NAT
	return cfg
}

func TestWantedSysctls(t *testing.T) {
	dr, persistent := vipFile(), vipFile()
	persistent.VirtualServers[0].Persistence = &config.Persistence{}
	mixed := vipFile()
	mixed.VirtualServers = append(mixed.VirtualServers, natFile().VirtualServers[0])
	timed := vipFile()
	timed.Timeouts = config.Timeouts{TCP: 8 * time.Hour, TCPFin: time.Minute}
	nat := map[string]string{
		"net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "0",
		"net/ipv4/conf/eth0/send_redirects": "0", "net/ipv4/conf/eth1/send_redirects": "0",
	}
	for _, tt := range []struct {
		name string
		cfg  *config.Config
		want map[string]string
	}{
		{"elections only", &config.Config{Instances: dr.Instances}, map[string]string{}},
		{"dr", dr, map[string]string{"net.ipv4.vs.expire_nodest_conn": "1"}},
		{"persistence", persistent, map[string]string{"net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.expire_quiescent_template": "1"}},
		{"nat", natFile(), nat},
		{"dr and nat", mixed, nat},
		{"timeouts", timed, map[string]string{"net.ipv4.vs.expire_nodest_conn": "1", "ipvs/timeout/tcp": "28800", "ipvs/timeout/tcp_fin": "60"}},
		{"timeouts, and elections only", &config.Config{Instances: dr.Instances, Timeouts: timed.Timeouts}, map[string]string{}},
	} {
		if diff := cmp.Diff(tt.want, Of(inputs(tt.cfg)).Sysctls); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestServes(t *testing.T) {
	vip := netip.MustParseAddr("10.77.0.100")
	reads := config.VirtualServer{Name: "reads", Protocol: "tcp", Address: vip, Port: 3307}
	writes := config.VirtualServer{Name: "writes", Protocol: "tcp", Address: vip, Port: 3306}
	table := TableOf(&config.Config{VirtualServers: []config.VirtualServer{reads, writes}}, "d", Verdicts{})
	for _, tt := range []struct {
		name    string
		serving map[lvs.Key]bool
		want    bool
	}{
		{"no table", nil, false},
		{"one of two has a server", map[lvs.Key]bool{lvs.KeyOf(writes): true}, true},
		{"another director's service", map[lvs.Key]bool{{Protocol: "tcp", Address: vip, Port: 80}: true}, false},
	} {
		if got := table.Serves(tt.serving); got != tt.want {
			t.Errorf("%s: serves %t, want %t", tt.name, got, tt.want)
		}
	}
}

// TestDesiredTable: verdicts are assigned to the table by the names of the file.
func TestDesiredTable(t *testing.T) {
	in := inputs(vipFile())
	in.Config.VirtualServers[0].Scheduler, in.Config.VirtualServers[0].Forward = "rr", config.DR
	in.Verdicts = VerdictsOf(map[config.Subject]health.Verdict{{Server: config.ServerID{Service: "mysql", Server: "mysql1"}}: {Known: true, Up: true}})
	if rules := lvs.Rules(Of(in).Table.Desired(nil)); strings.Count(rules, "-a -t") != 1 || !strings.Contains(rules, "10.88.0.11") {
		t.Errorf("the table is\n%s", rules)
	}
}

func TestUnknownInterfaces(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances:
  - {name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}
  - {name: b, interface: ethO, virtual_router_id: 52, virtual_addresses: [10.77.0.101]}
`))
	if cfg == nil {
		t.Fatal(problems)
	}
	got := Plan{}.UnknownInterfaces(cfg, node, links)
	if len(got) != 1 || !strings.HasPrefix(got[0].String(), "cluster.yaml:5:26: vrrp_instances[1].interface: lvs-master has no interface ethO") {
		t.Errorf("%v", got)
	}
	if got := Of(Inputs{Config: cfg, Node: node}).UnknownInterfaces(cfg, node, nil); got != nil {
		t.Errorf("interfaces that are waited for: %v", got)
	}
	named := []kernel.Link{{Name: "eth0", Alternative: "enp1s0 ethO", Up: true, Carrier: true}}
	got = Plan{}.UnknownInterfaces(cfg, node, named)
	if len(got) != 1 || !strings.HasSuffix(got[0].String(), "on lvs-master, ethO is an alternative name of the interface eth0 (write eth0)") {
		t.Errorf("an alternative name: %v", got)
	}
	fault := Of(Inputs{Config: cfg, Node: node, Links: named, Looked: true}).Instances[1].Fault()
	if want := "ethO is an alternative name of the interface eth0: the cluster file needs that one"; fault != want {
		t.Errorf("an alternative name at the start: %q, want %q", fault, want)
	}
	if got := UnknownInterfaces(&config.Config{}, cfg, node, links); len(got) != 1 {
		t.Errorf("at a start: %v", got)
	}
	if got := UnknownInterfaces(cfg, cfg, node, nil); got != nil {
		t.Errorf("at a start, interfaces that are waited for: %v", got)
	}
}
