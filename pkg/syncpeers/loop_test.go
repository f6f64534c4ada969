package syncpeers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/syncsock"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a host on a LAN, with connections. The kernel's daemon takes in what arrives.
type host struct {
	lan    *lan
	at     netip.Addr
	in     chan syncsock.Datagram
	closed chan struct{}

	mu      sync.Mutex // guards all below
	table   map[lvs.Connection]bool
	held    bool
	follows bool          // it runs only the daemon of its state
	other   bool          // it holds an address of another instance than the one whose state counts
	fails   error         // of opening
	unread  error         // of reading the connections
	broken  error         // of receiving
	slow    time.Duration // how long reading the connections takes
	hangs   bool          // it ignores the end of its context
	opened  int
	turn    uint64
	changed int
	seed    rand.PCG
	loop    *Loop

	// Set before the start; nil: nothing special.
	listing func(context.Context, func(lvs.Connection, string)) error // instead of states
	leaves  chan struct{}                                             // closing the socket waits for it
}

type lan struct{ hosts []*host }

func (l *lan) host(address string) *host {
	h := &host{lan: l, at: netip.MustParseAddr(address), table: map[lvs.Connection]bool{}}
	l.hosts = append(l.hosts, h)
	return h
}

func (h *host) Receive(until time.Time) ([]syncsock.Datagram, error) {
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	in, closed := h.channels()
	select {
	case d := <-in:
		h.learn(d.Payload)
		return []syncsock.Datagram{d}, nil
	case <-late.C:
		h.mu.Lock()
		defer h.mu.Unlock()
		return nil, h.broken
	case <-closed:
		return nil, net.ErrClosed
	}
}

// channels are those of the socket that was opened last; nil before.
func (h *host) channels() (in chan syncsock.Datagram, closed chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.in, h.closed
}

// opens is how often a socket was opened.
func (h *host) opens() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened
}

func (h *host) learn(b []byte) {
	m, _ := syncmsg.Parse(b)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range m.Connections {
		h.table[lvs.Connection{Protocol: "tcp", Client: c.Client, Virtual: c.Virtual, Server: c.Server}] = true
	}
}

func (h *host) Send(b []byte) error {
	for _, other := range h.lan.hosts {
		if in, _ := other.channels(); other != h && in != nil {
			in <- syncsock.Datagram{Source: h.at, Size: len(b), Payload: b}
		}
	}
	return nil
}

func (h *host) Close() error {
	if h.leaves != nil {
		<-h.leaves
	}
	_, closed := h.channels()
	select {
	case <-closed:
	default:
		close(closed)
	}
	return nil
}

func (h *host) open(syncsock.Address) (Socket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened++
	if h.fails != nil {
		return nil, h.fails
	}
	h.in, h.closed = make(chan syncsock.Datagram, 64), make(chan struct{})
	return h, nil
}

func (h *host) connections(ctx context.Context, each func(lvs.Connection)) error {
	h.mu.Lock()
	all, err, slow, hangs := slices.Collect(maps.Keys(h.table)), h.unread, h.slow, h.hangs
	h.mu.Unlock()
	if hangs {
		ctx = context.Background()
	}
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, c := range all {
		each(c)
	}
	return err
}

func (h *host) served(lvs.Connection) Served {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Served{Known: true, Held: h.held || h.other, Forward: config.DR}
}

func (h *host) role() Role {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Role{Master: h.held || h.other, Sends: h.held || !h.follows, Learns: !h.held || !h.follows, Turn: h.turn}
}

// random is called by the goroutine of the loop only.
func (h *host) random() float64 { return rand.New(&h.seed).Float64() }

func (h *host) ask() Ask { return Ask{Served: h.served, Role: h.role} }

// counted returns how many notes with counts have arrived, and drops all.
func (h *host) counted() (count int) {
	in, _ := h.channels()
	for {
		select {
		case d := <-in:
			if n, err := syncmsg.ParseNote(d.Payload); err == nil && !n.Uncounted {
				count++
			}
		default:
			return count
		}
	}
}

func (h *host) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// start runs the loop of a host until stop is called.
func (h *host) start(log *logtest.Buffer) (stop func()) {
	h.loop = New(Options{
		Open: h.open, Connections: h.connections, States: h.states, Changed: func() { h.set(func() { h.changed++ }) },
		Random: h.random, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	h.loop.Set(Wanted{At: syncsock.Address{Interface: "eth0"}, ID: 51, MaxLen: 1472, Receives: 1472}, h.ask())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.loop.Run(ctx) }()
	return func() { cancel(); <-done }
}

func client(n int) lvs.Connection {
	return lvs.Connection{
		Protocol: "tcp", Client: netip.AddrPortFrom(netip.MustParseAddr("10.77.0.50"), uint16(40000+n)),
		Virtual: netip.MustParseAddrPort("10.77.0.100:3306"), Server: netip.MustParseAddrPort("10.77.0.11:3306"),
	}
}

// TestPair: a standby that starts after connections were opened learns all from the MASTER's loop, then it is warm, and
// nothing more is sent.
func TestPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		master, standby := l.host("10.77.0.2"), l.host("10.77.0.3")
		master.held = true
		for n := range 100 {
			master.table[client(n)] = true
		}
		defer master.start(&log)()
		time.Sleep(10 * time.Second)
		defer standby.start(&log)()
		synctest.Wait()
		if s := standby.loop.Snapshot(); !s.Running || !s.Cold {
			t.Errorf("at the start: %+v", s)
		}
		time.Sleep(7 * time.Second)
		s, m := standby.loop.Snapshot(), master.loop.Snapshot()
		if s.Cold || s.Lacking != 0 || s.Others != 100 || m.Held != 100 || m.Peers[standby.at].Lacking != 0 {
			t.Errorf("standby %+v\nmaster %+v", s, m)
		}
		sent := m.Again
		time.Sleep(time.Minute)
		if m := master.loop.Snapshot(); m.Again != sent || sent < 100 {
			t.Errorf("sent %d, then %d", sent, m.Again)
		}
		if standby.changed != 1 {
			t.Errorf("told %d times that it is warm", standby.changed)
		}
		standby.set(func() { delete(standby.table, client(3)) })
		time.Sleep(4 * time.Second)
		standby.set(func() {
			if !standby.table[client(3)] {
				t.Error("a lost connection was not sent again")
			}
		})
	})
}

// TestFailures: a socket that cannot be opened is tried again, and connections that cannot be read are no connections.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		l := &lan{}
		h := l.host("10.77.0.2")
		other := l.host("10.77.0.3")
		h.fails = errors.New("no address")
		stop := h.start(&log)
		time.Sleep(10 * time.Second)
		if s := h.loop.Snapshot(); s.Failed != "no address" || !s.Cold || h.opens() < 9 || h.opens() > 12 || log.Count("level=ERROR") != 1 {
			t.Errorf("%+v, opened %d times\n%s", s, h.opens(), log.String())
		}
		h.set(func() { h.fails, h.unread = nil, errors.New("no table") })
		other.set(func() { other.in = make(chan syncsock.Datagram, 64) })
		time.Sleep(10 * time.Second)
		if s := h.loop.Snapshot(); s.Failed != "no table" || other.counted() != 0 {
			t.Errorf("%+v", s)
		}
		h.set(func() { h.unread = nil })
		time.Sleep(2 * time.Second)
		if s := h.loop.Snapshot(); s.Failed != "" || other.counted() == 0 || !strings.Contains(log.String(), "again which") {
			t.Errorf("%+v\n%s", s, log.String())
		}
		h.set(func() { h.opened, h.broken = 0, errors.New("broken") })
		time.Sleep(1500 * time.Millisecond) // not at one of the moments, a second apart, at which it is opened again
		h.set(func() { h.broken = nil })
		time.Sleep(2 * time.Second)
		if s := h.loop.Snapshot(); s.Failed != "" || h.opens() < 1 || h.opens() > 3 {
			t.Errorf("after it broke: %+v, opened %d times", s, h.opens())
		}
		stop()
	})
}

// TestNotWanted: without settings nothing is open, and a change of the settings opens another socket.
func TestNotWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		h := (&lan{}).host("10.77.0.2")
		defer h.start(&log)()
		time.Sleep(3 * time.Second)
		h.loop.Set(Wanted{At: syncsock.Address{Interface: "eth1"}, ID: 51, MaxLen: 1472}, h.ask())
		time.Sleep(3 * time.Second)
		if h.opens() != 2 {
			t.Errorf("opened %d times", h.opens())
		}
		h.loop.Set(Wanted{}, h.ask())
		time.Sleep(3 * time.Second)
		select {
		case <-closedOf(h):
		default:
			t.Error("open")
		}
		if s := h.loop.Snapshot(); s.Running || s.Cold || h.opens() != 2 {
			t.Errorf("%+v, opened %d times", s, h.opens())
		}
	})
}

func closedOf(h *host) chan struct{} {
	_, closed := h.channels()
	return closed
}
