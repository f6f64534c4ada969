package director

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/bfd"
	"github.com/lvs-director/lvs-director/pkg/kernel/bfdsock"
	"github.com/lvs-director/lvs-director/pkg/liveness"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// fakeBFD are the BFD sockets of a host, and its neighbours on the link.
type fakeBFD struct {
	queue      []bfdsock.Datagram
	neighbours map[netip.Addr]*bfd.Session
	silent     map[netip.Addr]bool // sends nothing, and hears nothing
	begun      time.Time
}

func (k *fakeKernel) ListenBFD(on vrrp.Segment) (liveness.Listener, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fail["bfd"]; err != nil {
		return nil, err
	}
	k.opened++
	k.bfd.queue = nil
	return &fakeListener{k: k, end: make(chan struct{})}, nil
}

func (k *fakeKernel) DialBFD(_ vrrp.Segment, _, neighbour netip.Addr) (liveness.Sender, error) {
	k.open()
	return fakeBFDSender{k, neighbour}, nil
}

type fakeListener struct {
	k   *fakeKernel
	end chan struct{}
}

func (l *fakeListener) Wait() (bool, error) {
	for range 100 {
		l.k.mu.Lock()
		waiting := len(l.k.bfd.queue) > 0
		l.k.mu.Unlock()
		if waiting {
			return true, nil
		}
		select {
		case <-l.end:
			return false, errors.New("closed")
		case <-time.After(time.Millisecond):
		}
	}
	return false, nil
}

func (l *fakeListener) Pending() ([]bfdsock.Datagram, error) {
	l.k.mu.Lock()
	defer l.k.mu.Unlock()
	all := l.k.bfd.queue
	l.k.bfd.queue = nil
	return all, nil
}

func (l *fakeListener) Close() error {
	close(l.end)
	return l.k.closed()
}

type fakeBFDSender struct {
	k  *fakeKernel
	to netip.Addr
}

func (s fakeBFDSender) Close() error { return s.k.closed() }

func (s fakeBFDSender) Send(payload []byte) error {
	p, why := bfd.Parse(payload)
	if why != bfd.DropNone {
		return errors.New(why.String())
	}
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.bfd.step(s.to, bfd.Received{Packet: p})
	return nil
}

// step is a step of a neighbour, if there is one. The kernel's mutex is held.
func (b *fakeBFD) step(neighbour netip.Addr, ev bfd.Event) {
	session := b.neighbours[neighbour]
	if session == nil || b.silent[neighbour] {
		return
	}
	for _, a := range session.Step(time.Since(b.begun), 0.5, ev) {
		if send, ok := a.(bfd.Send); ok {
			b.queue = append(b.queue, bfdsock.Datagram{Source: neighbour, TTL: 255, Payload: send.Packet.Append(nil)})
		}
	}
}

// runsBFD starts a neighbour that sends every 100 ms and detects after 300 ms.
func (n *node) runsBFD(address string) {
	neighbour := netip.MustParseAddr(address)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.bfd.begun.IsZero() {
		n.bfd = fakeBFD{neighbours: map[netip.Addr]*bfd.Session{}, silent: map[netip.Addr]bool{}, begun: time.Now()}
	}
	n.bfd.neighbours[neighbour] = bfd.NewSession(bfd.Params{Discriminator: 99, MinTx: 100 * time.Millisecond, MinRx: 100 * time.Millisecond, Multiplier: 3})
	n.packets["bfd "+address] = func() { n.bfd.step(neighbour, bfd.Tick{}) }
}

// quiet makes a neighbour silent, or ends that.
func (n *node) quiet(address string, yes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bfd.silent[netip.MustParseAddr(address)] = yes
}

const (
	peerBFD = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 1s, virtual_addresses: [10.77.0.100], peer_bfd: {interval: 100ms}}\n"
	// trackBFD tracks a router by BFD.
	trackBFD = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], tracks: [gateway]}\n" +
		"bfd_sessions:\n  - {name: gateway, interface: eth0, address: 10.77.0.1}\n"
)

func bfdCases() []codesCase {
	const peer, gateway = "10.77.0.3", "10.77.0.1"
	return []codesCase{
		{On: "MASTER", File: peerBFD, Before: func(n *node) { n.runsBFD(peer) }, Case: problemtest.Case[*node]{
			Code: problem.BFDSessionDown, Subject: "lvs-backup on eth0", Fault: "the peer is gone",
			Break: func(n *node) { n.quiet(peer, true) },
			Mend:  func(n *node) { n.quiet(peer, false) },
		}},
		{File: trackBFD, Before: func(n *node) { n.runsBFD(gateway) }, Case: problemtest.Case[*node]{
			Code: problem.InstanceFault, Subject: "a", Fault: "a router is gone",
			Break: func(n *node) { n.quiet(gateway, true) },
			Mend:  func(n *node) { n.quiet(gateway, false) },
		}},
		{File: codesFile, Before: func(n *node) { n.runsBFD(gateway) }, Case: problemtest.Case[*node]{
			Code: problem.BFDSessionDown, Subject: "gateway on eth0", Fault: "a router does not run BFD",
			Break: func(n *node) { n.quiet(gateway, true); n.reload(trackBFD) },
			Mend:  func(n *node) { n.quiet(gateway, false) },
		}},
		{On: "BACKUP", File: strings.Replace(peerBFD, "1s", "100ms", 1), Before: func(n *node) { n.runsBFD(peer) }, Case: problemtest.Case[*node]{
			Code: problem.BFDFalseAlarm, Subject: "a", Lasts: 8 * time.Second,
			Break: func(n *node) { n.quiet(peer, true); n.pass(500 * time.Millisecond); n.quiet(peer, false) },
			Mend:  func(n *node) { n.pass(10 * time.Second) },
		}},
	}
}

// TestPeerLostByBFD: with adverts every second, the loss of the MASTER's BFD session makes the BACKUP MASTER within the
// detection time; a MASTER that switches BFD off, or the loss of another neighbour, does not.
func TestPeerLostByBFD(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(n *node)
		want    string
	}{
		"the MASTER is gone": {func(n *node) { n.quiet("10.77.0.3", true) }, "MASTER"},
		"the MASTER switches BFD off": {func(n *node) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.bfd.step(netip.MustParseAddr("10.77.0.3"), bfd.Disable{})
			n.bfd.silent[netip.MustParseAddr("10.77.0.3")] = true
		}, "BACKUP"},
		"another one is gone": {func(n *node) { n.quiet("10.77.0.4", true) }, "BACKUP"},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, func(t *testing.T, m *machine) {
				n := newNode(m)
				defer func() { n.end() }()
				n.runsBFD("10.77.0.3")
				n.runsBFD("10.77.0.4")
				n.hear("peer", 100, "10.77.0.3", 51, 200)
				file := strings.Replace(peerBFD, "}, {name: lvs-backup", "}, {name: third, address: 10.77.0.4}, {name: lvs-backup", 1)
				m.begin(file)
				m.pass(5 * time.Second)
				if s := m.Status(); len(s.BFDSessions) != 2 || s.BFDSessions[0].State != "Up" || s.BFDSessions[1].Name != "lvs-backup" || s.BFDSessions[1].DetectionTime != 300 || m.state("a") != "BACKUP" {
					t.Fatalf("%+v", s)
				}
				n.silence("peer")
				c.happens(n)
				m.pass(320 * time.Millisecond)
				if got := m.state("a"); got != c.want {
					t.Errorf("%s, want %s: %s", got, c.want, m.reason("a"))
				}
				if c.want == "MASTER" {
					if !m.has("eth0", vip) || !slices.ContainsFunc(m.happened(), func(e string) bool { return strings.HasPrefix(e, "bfd_session_state lvs-backup on eth0: Up -> Down") }) {
						t.Errorf("the VIP is here: %t; %q", m.has("eth0", vip), m.happened())
					}
				}
				if err := m.stop(); err != nil {
					t.Error(err)
				}
				if m.opened != 0 {
					t.Errorf("%d handles are open after the end", m.opened)
				}
			})
		})
	}
}

// TestBFDReload: sessions follow the cluster file, and a session with the same neighbour stays up.
func TestBFDReload(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer func() { n.end() }()
		n.runsBFD("10.77.0.3")
		m.begin(peerBFD)
		m.pass(5 * time.Second)
		since := m.Status().BFDSessions[0].Since
		m.reload(strings.Replace(peerBFD, "interval: 100ms", "interval: 200ms", 1))
		s := m.Status().BFDSessions[0]
		if s.Since.Sub(since).Abs() > time.Millisecond || s.State != "Up" || s.Interval != 200 || s.DetectionTime != 600 {
			t.Errorf("%+v, was up since %s", s, since)
		}
		m.reload(electing + router("a", "eth0", 51, vip))
		if s := m.Status(); len(s.BFDSessions) != 0 {
			t.Errorf("%+v", s.BFDSessions)
		}
		m.reload(trackBFD)
		if s := m.Status(); len(s.BFDSessions) != 1 || s.BFDSessions[0].Name != "gateway" || s.BFDSessions[0].State != "Down" || m.state("a") != "MASTER" {
			t.Errorf("%+v", s.BFDSessions)
		}
	})
}

// TestRenamedTracks: a session and a track are the same under another name. A new name changes no state, whether the
// session or track is up or down.
func TestRenamedTracks(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		const tracked = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], tracks: [gateway, web]}\n" +
			"bfd_sessions:\n  - {name: gateway, interface: eth0, address: 10.77.0.1}\n" +
			"tracks:\n  - {name: web, address: 10.77.0.1, type: tcp, port: 80, interval: 1s}\n"
		renamed := strings.NewReplacer("gateway", "router", "web", "site").Replace(tracked)
		n := newNode(m)
		defer func() { n.end() }()
		n.runsBFD("10.77.0.1")
		m.begin(tracked)
		m.pass(5 * time.Second)
		for name, happens := range map[string]func(){
			"up":           func() {},
			"session down": func() { n.quiet("10.77.0.1", true) },
			"track down":   func() { m.refuses("10.77.0.1", true) },
		} {
			happens()
			m.pass(5 * time.Second)
			state, since := m.state("a"), m.Status().BFDSessions[0].Since
			if want := map[bool]string{true: "MASTER", false: "FAULT"}[name == "up"]; state != want {
				t.Fatalf("%s: %s, want %s (%s)", name, state, want, m.reason("a"))
			}
			m.happened()
			for range 20 {
				m.reload(renamed)
				m.reload(tracked)
			}
			m.reload(renamed)
			if s := m.Status().BFDSessions[0]; s.Name != "router" || s.Since.Sub(since).Abs() > time.Millisecond || m.state("a") != state {
				t.Errorf("%s: %+v since %s, and a is %s (%s)", name, s, since, m.state("a"), m.reason("a"))
			}
			if all := m.happened(); slices.ContainsFunc(all, func(e string) bool { return !strings.HasPrefix(e, "reload") }) {
				t.Errorf("%s: %q", name, all)
			}
			m.reload(tracked)
			n.quiet("10.77.0.1", false)
			m.refuses("10.77.0.1", false)
			m.pass(5 * time.Second)
		}
	})
}

// TestVerdictDuringReload: a track that goes down while a reload is being applied puts its instance into FAULT.
func TestVerdictDuringReload(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		const tracked = electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], tracks: [web]}\n" +
			"tracks:\n  - {name: web, address: 10.77.0.1, type: tcp, port: 80, interval: 1s}\n"
		m.begin(tracked)
		m.pass(5 * time.Second)
		m.file = strings.Replace(tracked, "interval: 1s}", "interval: 2s}", 1)
		cfg, err := m.o.Load()
		if err != nil {
			t.Fatal(err)
		}
		m.refuses("10.77.0.1", true)
		if err := m.Director.do(t.Context(), func() {
			time.Sleep(5 * time.Second) // the director does not see the new verdict before it makes the plan
			if _, err := m.prepare(m.loops.Load(), cfg); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		m.pass(time.Second)
		if got := m.state("a"); got != "FAULT" {
			t.Errorf("%s: %s", got, m.reason("a"))
		}
	})
}
