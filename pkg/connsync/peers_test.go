package connsync

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

var a, b, c = netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("10.77.0.4")

// note is that of a director with connections in bucket 1, which it has had for an hour and just read.
func note(held, others uint32, master bool) []byte {
	n := syncmsg.Note{ID: 51, Master: master, Settled: time.Hour}
	n.Held[1], n.Others[1] = held, others
	return n.Append(nil)
}

func counts(held, others uint32) (c Counts) {
	c.Held[1], c.Others[1] = held, others
	return c
}

// reads is a reading that takes no time, of connections that have been there for ever.
func (p *Peers) reads(after time.Duration, c Counts) {
	p.Read(Reading{Begun: begin.Add(after), Ended: begin.Add(after), Settled: begin.Add(after - time.Hour), Counts: c})
}

func (p *Peers) hears(after time.Duration, from netip.Addr, payload []byte) {
	p.Hear(begin.Add(after), from, len(payload), payload)
}

// TestStandby: what a standby lacks is what MASTERs hold and it does not have, as long as their notes are fresh; it is warm
// once it lacks nothing.
func TestStandby(t *testing.T) {
	p := NewPeers(begin.Add(-time.Second), 51)
	for _, s := range []struct {
		name    string
		after   time.Duration
		hear    func()
		others  uint32
		lacking int
		since   time.Duration // 0: not lacking
		cold    bool
	}{
		{"nobody was heard", 0, func() {}, 0, 0, 0, true},
		{"another standby", 1, func() { p.hears(1*time.Second, b, note(0, 5, false)) }, 0, 0, 0, true},
		{"a MASTER without connections", 1, func() { p.hears(1*time.Second, a, note(0, 0, true)) }, 0, 0, 0, true},
		{"a MASTER", 2, func() { p.hears(2*time.Second, a, note(5, 0, true)) }, 0, 5, 2, true},
		{"it has not read since", 3, func() {}, 3, 5, 2, true},
		{"some arrive", 3, func() { p.hears(3*time.Second, a, note(5, 0, true)) }, 3, 2, 2, true},
		{"all, and one that has ended", 4, func() { p.hears(4*time.Second, a, note(5, 0, true)) }, 6, 0, 0, false},
		{"another MASTER", 5, func() { p.hears(5*time.Second, a, note(5, 0, true)); p.hears(5*time.Second, c, note(4, 0, true)) }, 6, 3, 5, false},
		{"one of them does not know", 6, func() {
			p.hears(6*time.Second, a, note(9, 0, true))
			p.hears(6*time.Second, c, (&syncmsg.Note{ID: 51, Master: true, Uncounted: true}).Append(nil))
		}, 6, 3, 5, false},
		{"they are silent", 11, func() {}, 6, 0, 0, false},
	} {
		s.hear()
		p.reads(s.after*time.Second, counts(0, s.others))
		p.Compare(begin.Add(s.after * time.Second))
		n, since := p.Lacking()
		if n != s.lacking || p.Cold() != s.cold || s.since > 0 != !since.IsZero() || s.since > 0 && !since.Equal(begin.Add(s.since*time.Second)) {
			t.Errorf("%s: %d since %s, cold %t", s.name, n, since, p.Cold())
		}
	}
}

// TestNeed: a MASTER sends what another director lacks of all that MASTERs hold, only where it has connections itself, and
// everything if nobody says what it has.
func TestNeed(t *testing.T) {
	p := NewPeers(begin, 51)
	if n := p.Need(begin); !n.Blind || n.In.Any() {
		t.Errorf("nobody: %+v", n)
	}
	kernel, _ := syncmsg.Message{ID: 51, Connections: []syncmsg.Connection{entry(t)}}.Append(nil)
	p.hears(0, a, kernel)
	if n := p.Need(begin); !n.Blind {
		t.Errorf("a keepalived: %+v", n)
	}
	for _, s := range []struct {
		name    string
		payload []byte
		held    uint32
		in      bool
		lacking int
	}{
		{"it lacks two", note(0, 3, false), 5, true, 2},
		{"it has all", note(0, 5, false), 5, false, 0},
		{"it has more", note(0, 9, false), 5, false, 0},
		{"MASTER of others", note(4, 3, true), 5, true, 2},
		{"this director has none", note(0, 0, false), 0, false, 0},
	} {
		p.hears(0, b, s.payload)
		p.reads(0, counts(s.held, 0))
		n := p.Need(begin)
		if n.Blind || n.In[1] != s.in || p.All()[b].Lacking != s.lacking {
			t.Errorf("%s: %t %t, %+v", s.name, n.Blind, n.In[1], p.All()[b].Lacking)
		}
	}
	p.hears(0, b, note(0, 5, false))
	p.hears(0, c, note(3, 0, true))
	p.reads(0, counts(5, 0))
	if n := p.Need(begin); !n.In[1] || p.All()[b].Lacking != 3 || p.All()[c].Lacking != 5 {
		t.Errorf("two MASTERs: %d, %d", p.All()[b].Lacking, p.All()[c].Lacking)
	}
	if n := p.Need(begin.Add(Fresh)); !n.Blind {
		t.Errorf("old notes: %+v", n)
	}
}

func entry(t *testing.T) syncmsg.Connection {
	t.Helper()
	e, can := Entry(number(1), config.DR, 0)
	if !can {
		t.Fatal("cannot be sent")
	}
	return e
}

// TestSilent: a director that sends notes must be heard; another one may be silent, but must have been heard once.
func TestSilent(t *testing.T) {
	kernel, _ := syncmsg.Message{ID: 51}.Append(nil)
	for name, s := range map[string]struct {
		hear  []byte
		from  time.Duration // when that is a problem; 0: never
		other []byte
	}{
		"never heard":     {nil, 30 * time.Second, nil},
		"a director":      {note(0, 0, true), 10 * time.Second, nil},
		"another id":      {nil, 10 * time.Second, append([]byte{0, 9}, kernel[2:]...)},
		"a keepalived":    {kernel, 0, nil},
		"what is neither": {nil, 30 * time.Second, []byte("x")},
	} {
		p := NewPeers(begin, 51)
		if s.hear != nil {
			p.hears(0, a, s.hear)
		}
		if s.other != nil {
			p.hears(0, b, s.other)
		}
		for after := time.Duration(0); after < time.Minute; after += time.Second {
			if got, want := !p.Silent(begin.Add(after)).IsZero(), s.from > 0 && after >= s.from; got != want {
				t.Errorf("%s: after %s silent %t", name, after, got)
			}
		}
	}
	p := NewPeers(begin, 51)
	p.hears(0, b, append([]byte{0, 9}, kernel[2:]...))
	if got := p.Strange(); got != (Strange{ID: 9, From: b}) {
		t.Errorf("%+v", got)
	}
	any := NewPeers(begin, 0)
	if any.hears(0, b, append([]byte{0, 9}, kernel[2:]...)); len(any.All()) != 1 {
		t.Error("with the id 0 every one counts")
	}
}

// TestTooLong: the longest message of the last minute counts.
func TestTooLong(t *testing.T) {
	kernel, _ := syncmsg.Message{ID: 51}.Append(nil)
	p := NewPeers(begin, 51)
	p.Hear(begin, a, 1472, kernel)
	p.Hear(begin, b, 9000, kernel)
	p.Hear(begin.Add(time.Second), b, 100, kernel)
	for _, s := range []struct {
		after time.Duration
		limit int
		from  netip.Addr
		size  int
	}{{0, 1471, b, 9000}, {time.Minute, 1472, b, 9000}, {0, 9000, netip.Addr{}, 0}, {2 * time.Minute, 0, netip.Addr{}, 0}} {
		if from, size := p.TooLong(begin.Add(s.after), s.limit); from != s.from || size != s.size {
			t.Errorf("%+v: %s, %d", s, from, size)
		}
	}
}

// TestManyPeers: hosts that send from thousands of addresses take no memory.
func TestManyPeers(t *testing.T) {
	p := NewPeers(begin, 51)
	for n := range 2000 {
		p.hears(0, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), note(0, 0, false))
	}
	if len(p.All()) != maxPeers {
		t.Errorf("%d", len(p.All()))
	}
}

// TestForget: a peer that has been silent for minutes is dropped, and one that has been for longest gives way to another one
// if there are too many.
func TestForget(t *testing.T) {
	p := NewPeers(begin, 51)
	p.hears(0, a, note(0, 0, true))
	p.hears(time.Second, b, note(0, 0, false))
	p.Need(begin.Add(forgetAfter))
	if all := p.All(); len(all) != 1 || all[b].Heard.IsZero() {
		t.Errorf("%+v", all)
	}
	if got := p.Silent(begin.Add(forgetAfter)); !got.Equal(begin) {
		t.Errorf("the MASTER that was dropped was heard at %s", got)
	}
	for n := range maxPeers - 1 {
		p.hears(2*time.Second+time.Duration(n), netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), note(0, 0, false))
	}
	p.hears(3*time.Second, c, note(0, 0, false))
	_, old := p.All()[b]
	_, now := p.All()[c]
	if old || !now || len(p.All()) != maxPeers {
		t.Errorf("%d peers: %t, %t", len(p.All()), old, now)
	}
}

// TestUnlearning: a director that does not learn lacks nothing and does not wait.
func TestUnlearning(t *testing.T) {
	p := NewPeers(begin, 51)
	p.hears(0, a, note(5, 0, true))
	p.reads(0, Counts{})
	p.Compare(begin)
	if n, _ := p.Lacking(); n != 5 || !p.Cold() {
		t.Fatalf("%d, %t", n, p.Cold())
	}
	p.Unlearning()
	if n, since := p.Lacking(); n != 0 || !since.IsZero() || p.Cold() {
		t.Errorf("%d since %s, %t", n, since, p.Cold())
	}
}

// TestSilentMaster: with three directors the notes of one that is BACKUP do not hide that the MASTER is not heard.
func TestSilentMaster(t *testing.T) {
	p := NewPeers(begin, 51)
	for s := range 60 {
		after := time.Duration(s) * time.Second
		if s < 20 {
			p.hears(after, a, note(0, 0, true))
		}
		p.hears(after, b, note(0, 0, false))
		last := begin.Add(19 * time.Second)
		if got := p.Silent(begin.Add(after)); s < 29 && !got.IsZero() || s >= 29 && !got.Equal(last) {
			t.Errorf("after %s: silent since %s", after, got)
		}
	}
	p.hears(time.Minute, b, note(0, 0, true))
	if got := p.Silent(begin.Add(time.Minute)); !got.IsZero() {
		t.Errorf("the other one has taken over: silent since %s", got)
	}
	never := NewPeers(begin, 51)
	never.hears(silentNever, b, note(0, 0, false))
	if got := never.Silent(begin.Add(silentNever)); !got.Equal(begin) {
		t.Errorf("never heard: silent since %s", got)
	}
}

// TestEntry: the flags are those that a kernel gives its own connections of each forwarding method.
func TestEntry(t *testing.T) {
	udp := number(1)
	udp.Protocol = "udp"
	sctp := number(1)
	sctp.Protocol = "sctp"
	icmp := number(1)
	icmp.Protocol = "icmp"
	template := number(1)
	template.Client = netip.AddrPortFrom(template.Client.Addr(), 0)
	mixed := number(1)
	mixed.Server = netip.MustParseAddrPort("[fd00::1]:3306")
	for _, s := range []struct {
		c       lvs.Connection
		forward config.Forward
		flags   uint32
		state   uint16
		can     bool
	}{
		{number(1), config.NAT, 0, 1, true},
		{number(1), config.DR, 0x0b, 1, true},
		{number(1), config.TUN, 0x0a, 1, true},
		{udp, config.NAT, 0x100, 0, true},
		{sctp, config.NAT, 0, 8, true},
		{icmp, config.NAT, 0, 0, false},
		{template, config.DR, 0x110b, 1, true},
		{mixed, config.TUN, 0x0a, 1, false},
	} {
		persists := time.Duration(0)
		if s.c.Template() {
			persists = 50 * time.Second
		}
		if e, can := Entry(s.c, s.forward, 50*time.Second); can != s.can || can && (e.Flags != s.flags || e.State != s.state || e.Timeout != persists) {
			t.Errorf("%v %s: %+v, %t", s.c, s.forward, e, can)
		}
	}
}

// TestMessages: no datagram is larger than allowed, or has more connections than its count can say.
func TestMessages(t *testing.T) {
	for _, s := range []struct{ count, size, datagrams int }{{0, 1472, 0}, {1, 44, 1}, {40, 1472, 1}, {41, 1472, 2}, {256, 65507, 2}} {
		all := make([]syncmsg.Connection, s.count)
		for n := range all {
			all[n] = entry(t)
		}
		got, err := Messages(51, all, s.size)
		if err != nil || len(got) != s.datagrams {
			t.Errorf("%+v: %d datagrams, %v", s, len(got), err)
		}
		total := 0
		for _, d := range got {
			m, err := syncmsg.Parse(d)
			if err != nil || len(d) > s.size || m.ID != 51 {
				t.Errorf("%d bytes, %v", len(d), err)
			}
			total += len(m.Connections)
		}
		if total != s.count {
			t.Errorf("%d of %d", total, s.count)
		}
	}
	if _, err := Messages(51, []syncmsg.Connection{{}}, 1472); err == nil || !strings.Contains(err.Error(), "encode") {
		t.Errorf("%v", err)
	}
}
