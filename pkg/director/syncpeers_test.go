package director

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
	"github.com/lvs-director/lvs-director/pkg/syncpeers"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// fakeExchange is what other directors send to a fakeKernel about connections, and what it sends.
type fakeExchange struct {
	in          chan syncsock.Datagram // of the newest socket
	sent        [][]byte
	connections []lvs.Connection
	takes       time.Duration // to list them
}

// fakeSyncSocket implements syncpeers.Socket.
type fakeSyncSocket struct {
	k      *fakeKernel
	in     chan syncsock.Datagram
	closed chan struct{}
}

func (k *fakeKernel) OpenSync(at syncsock.Address) (syncpeers.Socket, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.fail["open "+at.Interface+" for connections"]; err != nil {
		return nil, err
	}
	s := &fakeSyncSocket{k: k, in: make(chan syncsock.Datagram, 64), closed: make(chan struct{})}
	k.exchange.in = s.in
	return s, nil
}

func (k *fakeKernel) Connections(ctx context.Context, each func(lvs.Connection)) error {
	k.mu.Lock()
	all, err, takes := k.exchange.connections, k.fail["ipvsadm -lcn"], k.exchange.takes
	k.mu.Unlock()
	if takes > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(takes):
		}
	}
	for _, c := range all {
		each(c)
	}
	return err
}

func (k *fakeKernel) ConnectionStates(ctx context.Context, each func(c lvs.Connection, state string)) error {
	return k.Connections(ctx, func(c lvs.Connection) { each(c, "ESTABLISHED") })
}

func (s *fakeSyncSocket) Receive(until time.Time) ([]syncsock.Datagram, error) {
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	select {
	case d := <-s.in:
		return []syncsock.Datagram{d}, nil
	case <-late.C:
		return nil, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *fakeSyncSocket) Send(payload []byte) error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.k.exchange.sent = append(s.k.exchange.sent, payload)
	return s.k.fail["send for connections"]
}

func (s *fakeSyncSocket) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

// tells delivers a datagram of the other director each second.
func (n *node) tells(name string, payload []byte, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	tick := 0
	n.packets[name] = func() {
		if tick++; n.exchange.in == nil || tick%100 != 0 {
			return
		}
		select {
		case n.exchange.in <- syncsock.Datagram{Source: netip.MustParseAddr("10.77.0.3"), Size: size, Payload: payload}:
		default: // nobody reads it
		}
	}
}

// counted makes the other director say that it holds so many connections, as MASTER.
func (n *node) counted(held uint32) {
	note := syncmsg.Note{ID: 51, Master: true, Settled: time.Hour}
	note.Held[7] = held
	n.tells("note", note.Append(nil), syncmsg.NoteSize)
}

// connects makes so many connections to the VIP known to the kernel.
func (k *fakeKernel) connects(count int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exchange.connections = nil
	for port := range count {
		k.exchange.connections = append(k.exchange.connections, lvs.Connection{
			Protocol: "tcp", Client: netip.AddrPortFrom(netip.MustParseAddr("10.77.0.50"), uint16(40000+port)),
			Virtual: netip.MustParseAddrPort(vip + ":3306"), Server: netip.MustParseAddrPort("10.77.0.11:3306"),
		})
	}
}

// lists makes the kernel take so long to list its connections.
func (k *fakeKernel) lists(takes time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exchange.takes = takes
}

// entries returns the connections that were sent since the last call.
func (k *fakeKernel) entries(t *testing.T) (all []syncmsg.Connection) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.exchange.sent {
		m, err := syncmsg.Parse(b)
		if err != nil {
			t.Error(err)
		}
		all = append(all, m.Connections...)
	}
	k.exchange.sent = nil
	return all
}

func exchangeCases() []codesCase {
	hears := func(n *node) { n.counted(0) }
	long, _ := syncmsg.Message{ID: 51}.Append(nil)
	return []codesCase{
		{On: "BACKUP", File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncSilent, Subject: "node", Fault: "the network loses it", After: 10 * time.Second,
			Break: func(n *node) { n.silence("note") },
			Mend:  hears,
		}},
		{On: "BACKUP", File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncSilent, Subject: "node", Fault: "another id", After: 10 * time.Second,
			Break: func(n *node) { n.tells("note", (&syncmsg.Note{ID: 9, Master: true}).Append(nil), syncmsg.NoteSize) },
			Mend:  hears,
		}},
		{On: "BACKUP", File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "node", Fault: "the connections of the MASTER cannot be compared", After: 2 * time.Minute,
			Break: func(n *node) { // what it holds has just settled, at any time
				n.tells("note", (&syncmsg.Note{ID: 51, Master: true}).Append(nil), syncmsg.NoteSize)
			},
			Mend: hears,
		}},
		{On: "BACKUP", File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "node", Fault: "the MASTER does not count", After: 5 * time.Minute,
			Break: func(n *node) {
				n.tells("note", (&syncmsg.Note{ID: 51, Master: true, Uncounted: true}).Append(nil), syncmsg.NoteSize)
			},
			Mend: hears,
		}},
		{On: "BACKUP", File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncLacking, Subject: "node", After: 16 * time.Second,
			Break: func(n *node) { n.counted(3) },
			Mend:  hears,
		}},
		{On: "BACKUP", File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncTooLong, Subject: "node", Lasts: 50 * time.Second,
			Break: func(n *node) { n.tells("long", long, 1473); n.pass(2 * time.Second); n.silence("long") },
			Mend:  func(n *node) { n.pass(time.Minute) },
		}},
		{File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "node", Fault: "nothing can be sent",
			Break: func(n *node) { n.refuse("send for connections", net.ErrClosed) },
			Mend:  func(n *node) { n.refuse("send for connections", nil) },
		}},
		{File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "node", Fault: "the kernel takes too long to list the connections", After: 121 * time.Second,
			Break: func(n *node) { n.lists(time.Hour) },
			Mend:  func(n *node) { n.lists(0); n.pass(19 * time.Minute) },
		}},
		{File: codesFile + syncing, Before: hears, Case: problemtest.Case[*node]{
			Code: problem.SyncNotRunning, Subject: "node", Fault: "the connections cannot be read",
			Break: func(n *node) { n.refuse("ipvsadm -lcn", net.ErrClosed) },
			Mend:  func(n *node) { n.refuse("ipvsadm -lcn", nil) },
		}},
	}
}

// TestSentAgain: a MASTER sends what the other director lacks, as the kernel would, and counts it; a BACKUP sends nothing.
func TestSentAgain(t *testing.T) {
	for _, state := range []string{"MASTER", "BACKUP"} {
		world(t, func(t *testing.T, m *machine) {
			n := newNode(m)
			defer n.end()
			m.connects(3)
			if state == "BACKUP" {
				n.hear("peer", 10, "10.77.0.3", 51, 200)
			}
			n.tells("note", (&syncmsg.Note{ID: 51, Master: state == "BACKUP", Settled: time.Hour}).Append(nil), syncmsg.NoteSize)
			m.begin(codesFile + syncing)
			m.pass(10 * time.Second)
			if got := m.state("a"); got != state {
				t.Fatalf("%s, want %s", got, state)
			}
			sent, s := m.entries(t), m.Status().ConnectionSync
			if state == "BACKUP" {
				if len(sent) > 0 || s.Learned != 3 || s.Held != 0 || !s.Peers[0].Master {
					t.Errorf("BACKUP: %d connections were sent; %+v", len(sent), s)
				}
				return
			}
			if len(sent) == 0 || len(sent)%3 != 0 || s.SentAgain != uint64(len(sent)) || s.Held != 3 || s.Learned != 0 || s.Peers[0].Lacking != 3 {
				t.Fatalf("MASTER: %d connections were sent; %+v", len(sent), s)
			}
			if c := sent[0]; c.Flags != 0x0b || c.State != 1 || c.Virtual != netip.MustParseAddrPort(vip+":3306") || c.Server.Addr() != netip.MustParseAddr("10.77.0.11") {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestOnlySends: the MASTER of the instance that the daemons follow runs nothing that learns. It is warm and lacks nothing,
// whatever another MASTER holds.
func TestOnlySends(t *testing.T) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		defer n.end()
		n.counted(3)
		m.begin(codesFile + "connection_sync: {interface: eth1, instance: a}\n")
		m.pass(30 * time.Second)
		if s := m.Status(); m.state("a") != "MASTER" || !s.ConnectionSync.Warm || s.ConnectionSync.Lacking != 0 {
			t.Errorf("%s: %+v", m.state("a"), s.ConnectionSync)
		}
	})
}

// TestSilentSince: the silence of the MASTER counts once the instance has been BACKUP for some time, and only of the instance
// that the daemons follow, if they follow one.
func TestSilentSince(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name    string
		since   time.Duration
		follows config.InstanceID
		silent  bool
	}{{"just BACKUP", 9 * time.Second, "", false}, {"BACKUP", 10 * time.Second, "", true}, {"of a", time.Minute, "a", true}, {"of another", time.Minute, "b", false}} {
		s := snapshots{instances: map[config.InstanceID]*election.Snapshot{"a": {
			State: vrrp.Backup, Since: now.Add(-c.since), Master: netip.MustParseAddr("10.77.0.3"), MasterPriority: 100,
		}}}
		s.plan.Instances = []plan.Instance{{ID: "a"}, {ID: "b"}}
		s.plan.Sync.Follows = c.follows
		s.exchange = syncpeers.Snapshot{Running: true, Silent: now.Add(-time.Hour)}
		if found := exchangeProblems(s, now); len(found) > 0 != c.silent {
			t.Errorf("%s: %+v", c.name, found)
		}
	}
}

// TestNoMasterToLearnFrom: a director that starts alone says so, and does not log that it has waited for connections; one that
// hears a MASTER which does not say what it has is cold.
func TestNoMasterToLearnFrom(t *testing.T) {
	for _, alone := range []bool{true, false} {
		world(t, func(t *testing.T, m *machine) {
			n := newNode(m)
			defer n.end()
			if !alone {
				n.hear("peer", 10, "10.77.0.3", 51, 200)
			}
			m.begin(codesFile + syncing)
			m.pass(40 * time.Second)
			s := m.Status().ConnectionSync
			if s.Warm || s.NoMaster != alone {
				t.Errorf("alone %t: %s, %+v", alone, m.state("a"), s)
			}
			if got := m.log.Count("were not learned in time") == 0; got != alone {
				t.Errorf("alone %t: %s", alone, m.log.String())
			}
		})
	}
}

// TestNoInstanceRuns: an instance of the plan that does not run, as during a start and a stop, has no MASTER.
func TestNoInstanceRuns(t *testing.T) {
	var s snapshots
	s.plan.Instances = []plan.Instance{{ID: "a"}}
	s.exchange = syncpeers.Snapshot{Running: true, Silent: time.Now().Add(-time.Minute)}
	if found := exchangeProblems(s, time.Now()); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}
