package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var kindNames = map[FindingKind]string{
	TwoMasters: "two masters", RefusedAdverts: "refused", UnknownMaster: "unknown master", UnknownRouter: "unknown router",
	VIPsNotHeld: "not held", VIPListsDiffer: "lists differ", VIPsElsewhere: "elsewhere", InvalidPackets: "invalid",
}

// neighbourhood notes adverts at the interval of the sender and reports.
type neighbourhood struct {
	t     *testing.T
	s     Sightings
	now   time.Duration
	p     Params
	vips  []netip.Addr
	peers Peers
	state State
	since time.Duration
}

func newNeighbourhood(t *testing.T, version uint8, state State) *neighbourhood {
	return &neighbourhood{
		t: t, p: Params{VRID: 51, Version: version, Priority: 100, Source: backup}.withDefaults(), vips: []netip.Addr{vip},
		peers: ourPeers, state: state, now: time.Hour, since: time.Minute,
	}
}

// hear receives n adverts, one a second; the last one now.
func (o *neighbourhood) hear(n int, source netip.Addr, p Packet) {
	for i := range n {
		if i > 0 {
			o.now += sec
		}
		o.s.Note(o.now, Classify(advertFrom(o.t, source, p), o.p, o.vips, o.peers), o.p, o.vips)
	}
}

func (o *neighbourhood) report() []Finding {
	return o.s.Report(o.now, View{Params: o.p, State: o.state, Since: o.since, Peers: o.peers})
}

func (o *neighbourhood) expect(when string, want ...string) {
	o.t.Helper()
	var got []string
	for _, f := range o.report() {
		got = append(got, fmt.Sprintf("%s %s", kindNames[f.Kind], f.Source))
		if !strings.HasPrefix(f.Text, f.Source.String()+" ") {
			o.t.Errorf("%s: the text %q does not begin with the source", when, f.Text)
		}
	}
	if !slices.Equal(got, want) {
		o.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func packetOf(version uint8, edit func(*Packet)) Packet {
	p := Packet{Version: version, VRID: 51, Priority: 50, Interval: time.Second, Addresses: []netip.Addr{vip}}
	if edit != nil {
		edit(&p)
	}
	return p
}

func TestAnotherMaster(t *testing.T) {
	o := newNeighbourhood(t, 3, Master)
	o.hear(3, master, packetOf(3, nil))
	o.expect("after two intervals")
	o.hear(2, master, packetOf(3, nil))
	o.expect("after three intervals", "two masters 10.77.0.2")
	o.state, o.since = Backup, o.now
	o.expect("as BACKUP")
	o.state = Master
	o.expect("just become MASTER: until now the other one was it by right")
	o.hear(5, master, packetOf(3, nil))
	o.expect("again", "two masters 10.77.0.2")
	o.now += 3*sec + sec/2
	o.expect("three intervals and a half after the last advert", "two masters 10.77.0.2")
	o.now += time.Millisecond
	o.expect("silent")
	o.hear(5, master, packetOf(3, nil))
	o.hear(1, master, packetOf(3, func(p *Packet) { p.Priority = PriorityResign }))
	o.expect("resigned")
}

func TestRefusedAdverts(t *testing.T) {
	secret := packetOf(2, func(p *Packet) { p.AuthType = authPassword })
	o := newNeighbourhood(t, 2, Master)
	o.hear(1, master, secret)
	o.expect("at once", "refused 10.77.0.2")
	f := o.report()[0]
	const want = "10.77.0.2 sends VRRPv2 adverts with a password for virtual router 51: they are refused, and it follows none of ours; " +
		"both machines hold the virtual addresses"
	if f.Text != want || f.Remedy != "set auth_type: pass and auth_password_file here, or remove the authentication on 10.77.0.2" {
		t.Errorf("%q, %q, want %q", f.Text, f.Remedy, want)
	}
	for name, c := range map[string]struct {
		p            Packet
		version      uint8
		text, remedy string
	}{
		"version":              {packetOf(2, nil), 3, "VRRPv2 adverts for", "protocol_version here is 3"},
		"version and password": {secret, 3, "VRRPv2 adverts with a password for", "protocol_version here is 3"},
		"interval":             {packetOf(2, func(p *Packet) { p.Interval = 3 * sec }), 2, "VRRPv2 adverts at the interval 3s for", "advert_interval here is 1s"},
		"type 2":               {packetOf(2, func(p *Packet) { p.AuthType = 2 }), 2, "VRRPv2 adverts with authentication type 2 for", "remove"},
	} {
		o := newNeighbourhood(t, c.version, Backup)
		o.hear(1, stranger, c.p)
		o.expect(name, "refused 10.77.0.66")
		if f := o.report()[0]; !strings.Contains(f.Text, c.text) || !strings.Contains(f.Remedy, c.remedy) || !strings.HasSuffix(f.Text, "; it is no director of the cluster file") {
			t.Errorf("%s: %q, %q", name, f.Text, f.Remedy)
		}
	}
}

// TestRefusedPasswords: what is said about the adverts of others if ours have a password.
func TestRefusedPasswords(t *testing.T) {
	for _, c := range []struct {
		p            Packet
		text, remedy string
	}{
		{packetOf(2, nil), "VRRPv2 adverts without a password for", "set auth_type: pass with the same password on 10.77.0.66, or remove auth_type here"},
		{packetOf(2, func(p *Packet) { p.AuthType, p.Password = authPassword, secretOf(t, "other") }), "VRRPv2 adverts with another password for", "give both the same password"},
		{packetOf(3, nil), "VRRPv3 adverts for", "give both the same version: protocol_version here is 2"},
		{packetOf(2, func(p *Packet) { p.AuthType = 2 }), "VRRPv2 adverts with authentication type 2 for", "set auth_type: pass with the same password"},
	} {
		o := newNeighbourhood(t, 2, Backup)
		o.p.AuthType, o.p.Password = authPassword, secretOf(t, "secret")
		o.hear(1, stranger, c.p)
		if f := o.report()[0]; !strings.Contains(f.Text, c.text) || !strings.HasPrefix(f.Remedy, c.remedy) {
			t.Errorf("%q, %q, want %q, %q", f.Text, f.Remedy, c.text, c.remedy)
		}
		m := NewMachine(o.p)
		m.Step(0, Startup{})
		h := Classify(advertFrom(t, stranger, c.p), o.p, o.vips, o.peers)
		m.Step(0, Evidence{Source: stranger, Priority: 100, Interval: sec, Version: c.p.Version, AuthType: c.p.AuthType, Why: h.Drop})
		if want := strings.TrimSuffix(c.text, " for"); !strings.Contains(m.Reason(), want+" (priority 100)") {
			t.Errorf("%q, want %q", m.Reason(), want)
		}
	}
}

func TestStrangers(t *testing.T) {
	foreign := packetOf(3, func(p *Packet) { p.Addresses = []netip.Addr{otherVIP} })
	o := newNeighbourhood(t, 3, Backup)
	o.hear(1, master, packetOf(3, nil))
	o.hear(1, stranger, packetOf(3, nil))
	o.expect("beside our MASTER", "unknown router 10.77.0.66")
	o.s = Sightings{}
	o.hear(1, stranger, packetOf(3, nil))
	o.expect("instead of our MASTER", "unknown master 10.77.0.66")
	o.state = Master
	o.expect("as MASTER", "unknown router 10.77.0.66")
	o.peers.Complete = false
	o.expect("where the addresses of the directors are not known")
	o.s = Sightings{}
	o.hear(9, stranger, foreign)
	o.expect("other VIPs", "unknown router 10.77.0.66")
	o.hear(1, stranger, packetOf(2, func(p *Packet) { p.AuthType, p.Addresses = authPassword, []netip.Addr{otherVIP} }))
	o.expect("other VIPs and a password", "unknown router 10.77.0.66")
}

func TestListsOfVIPs(t *testing.T) {
	with := func(all ...netip.Addr) Packet { return packetOf(3, func(p *Packet) { p.Addresses = all }) }
	o := newNeighbourhood(t, 3, Backup)
	o.hear(3, master, with(otherVIP))
	o.expect("during a change")
	o.hear(2, master, with(otherVIP))
	o.expect("another list", "not held 10.77.0.2")
	o.hear(1, stranger, with(vip))
	o.expect("another router has it", "lists differ 10.77.0.2", "unknown router 10.77.0.66")
	o.s = Sightings{}
	o.hear(5, master, with(otherVIP, vip))
	o.expect("more than ours", "lists differ 10.77.0.2")
	if f := o.report()[0]; !strings.HasSuffix(f.Text, ": also 10.77.0.200") {
		t.Error(f.Text)
	}
	o.vips = []netip.Addr{vip, otherVIP}
	o.hear(1, master, with(otherVIP, vip))
	o.expect("in another order")
	o.state = Master
	o.hear(1, master, with(vip))
	o.expect("as MASTER", "two masters 10.77.0.2", "lists differ 10.77.0.2")
}

func TestVIPsElsewhere(t *testing.T) {
	other := packetOf(3, func(p *Packet) { p.VRID = 52 })
	o := newNeighbourhood(t, 3, Backup)
	o.hear(3, master, other)
	o.expect("during a move of the VIP")
	o.hear(2, master, other)
	o.expect("after three intervals", "elsewhere 10.77.0.2")
	o.hear(1, master, packetOf(3, nil))
	o.expect("it is our MASTER, too: one machine has the VIP")
	o.state = Master
	o.expect("beside us as MASTER", "elsewhere 10.77.0.2")
}

// During a reload that moves a VIP to another instance our MASTER has it with its old VRID: it is held, by one machine.
func TestVIPOfOurMasterElsewhere(t *testing.T) {
	o := newNeighbourhood(t, 3, Backup)
	o.vips = []netip.Addr{vip, otherVIP}
	for range 5 {
		o.hear(1, master, packetOf(3, nil))
		o.hear(1, master, packetOf(3, func(p *Packet) { p.VRID, p.Addresses = 52, []netip.Addr{otherVIP} }))
		o.now += sec
	}
	o.expect("as BACKUP", "lists differ 10.77.0.2")
	o.hear(1, stranger, packetOf(3, func(p *Packet) { p.VRID, p.Addresses = 52, []netip.Addr{otherVIP} }))
	o.now += 4 * sec
	o.hear(1, stranger, packetOf(3, func(p *Packet) { p.VRID, p.Addresses = 52, []netip.Addr{otherVIP} }))
	o.expect("another machine has it", "elsewhere 10.77.0.66")
}

func TestInvalidPackets(t *testing.T) {
	o := newNeighbourhood(t, 3, Master)
	d := advertFrom(t, master, packetOf(3, nil))
	d.Payload[7]++
	o.s.Note(o.now, Classify(d, o.p, o.vips, o.peers), o.p, o.vips)
	o.expect("wrong checksum", "invalid 10.77.0.2")
	o.s = Sightings{}
	o.hear(9, backup, packetOf(3, nil))
	o.expect("our own packets are reported elsewhere")
}

// Forged sources neither grow the memory nor hide a director.
func TestSightingsAreLimited(t *testing.T) {
	o := newNeighbourhood(t, 3, Master)
	for n := range 1000 {
		o.hear(1, netip.AddrFrom4([4]byte{10, 78, byte(n >> 8), byte(n)}), packetOf(3, nil))
	}
	o.hear(5, master, packetOf(3, nil))
	if n := len(o.s.all); n > sightingsKept {
		t.Errorf("%d kept", n)
	}
	if !slices.ContainsFunc(o.report(), func(f Finding) bool { return f.Source == master && f.Kind == TwoMasters }) {
		t.Errorf("the director is not reported: %v", o.report())
	}
}

// TestListsOfARouterWithoutAddresses: a director without VIPs that follows a MASTER with some would hold none of them after
// a takeover.
func TestListsOfARouterWithoutAddresses(t *testing.T) {
	o := newNeighbourhood(t, 3, Backup)
	o.vips = nil
	o.hear(4, master, packetOf(3, nil))
	o.expect("the MASTER has a VIP", "lists differ "+master.String())
	o = newNeighbourhood(t, 3, Backup)
	o.vips = nil
	o.hear(4, master, packetOf(3, func(p *Packet) { p.Addresses = nil }))
	o.expect("the MASTER has none either")
}
