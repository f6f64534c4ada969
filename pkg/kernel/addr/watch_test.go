package addr

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

// eventWait is how long a test waits for an expected event.
const eventWait = 20 * time.Second

// watched has the events of a watch in a host.
type watched struct {
	events chan Event
}

// watchIn watches a host until the test ends.
func watchIn(t *testing.T, h host) *watched {
	t.Helper()
	w := &watched{events: make(chan Event, 10_000)}
	w.run(t, h, watchBuffer, func(e Event) { w.events <- e })
	w.await(t, Event{Kind: Resync})
	return w
}

func (w *watched) run(t *testing.T, h host, buffer int, deliver func(Event)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := h.Enter(func() error { return watch(ctx, buffer, deliver) }); err != nil {
			t.Errorf("Watch: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(eventWait):
			t.Error("Watch does not end with its context")
		}
	})
}

// await reads events until one matches; of Valid only whether it is set is compared.
func (w *watched) await(t *testing.T, want Event) {
	t.Helper()
	deadline := time.After(eventWait)
	var seen []Event
	for {
		select {
		case e := <-w.events:
			seen = append(seen, e)
			if e.Valid > 0 {
				e.Valid = want.Valid
			}
			if e == want {
				return
			}
		case <-deadline:
			t.Fatalf("no %+v among %d events; the last: %+v", want, len(seen), seen[max(0, len(seen)-5):])
		}
	}
}

func TestWatchAddresses(t *testing.T) {
	h, a := director(t)
	w := watchIn(t, h)
	must(t, a.Put("eth0", vip1, 60*time.Second))
	w.await(t, Event{Kind: AddressAdded, Interface: "eth0", Prefix: vip1, Valid: time.Minute, Asked: true})
	must(t, a.Put("eth0", vip1, 60*time.Second))
	w.await(t, Event{Kind: AddressAdded, Interface: "eth0", Prefix: vip1, Valid: time.Minute, Asked: true})
	h.IP(t, "addr del %s dev eth0", vip1)
	w.await(t, Event{Kind: AddressRemoved, Interface: "eth0", Prefix: vip1, Asked: true})
	must(t, a.Put("eth0", vip1, time.Second))
	w.await(t, Event{Kind: AddressRemoved, Interface: "eth0", Prefix: vip1}) // Asked is false: its lease expired
	h.IP(t, "addr add 10.9.0.1 peer 10.9.0.2/24 dev eth0")
	w.await(t, Event{Kind: AddressAdded, Interface: "eth0", Prefix: netip.MustParsePrefix("10.9.0.1/32"), Asked: true})
	must(t, a.Put("lo", vip6, 0))
	w.await(t, Event{Kind: AddressAdded, Interface: "lo", Prefix: vip6})
}

func TestWatchLinks(t *testing.T) {
	h, a := director(t)
	w := watchIn(t, h)
	h.Rename(t, "eth0", "wan0")
	w.await(t, Event{Kind: LinkChanged, Interface: "eth0"}) // down
	w.await(t, Event{Kind: LinkRemoved, Interface: "eth0"})
	w.await(t, Event{Kind: LinkChanged, Interface: "wan0"})
	w.await(t, Event{Kind: LinkChanged, Interface: "wan0", Up: true, Carrier: true})
	must(t, a.Put("wan0", vip1, 0))
	w.await(t, Event{Kind: AddressAdded, Interface: "wan0", Prefix: vip1, Asked: true})

	// A port that leaves a bridge is not a removed link.
	h.IP(t, "link add br0 type bridge")
	h.IP(t, "link set wan0 master br0")
	h.IP(t, "link set wan0 nomaster")
	h.IP(t, "link set wan0 mtu 1400") // marks the end of its events
	for done := false; !done; {
		select {
		case e := <-w.events:
			if e.Kind == LinkRemoved {
				t.Errorf("%+v, though wan0 only left the bridge", e)
			}
		case <-time.After(300 * time.Millisecond):
			done = true
		}
	}

	h.IP(t, "link del wan0")
	w.await(t, Event{Kind: AddressRemoved, Interface: "wan0", Prefix: vip1})
	w.await(t, Event{Kind: LinkRemoved, Interface: "wan0"})
	h.IP(t, "link add eth9 type veth peer name eth8")
	w.await(t, Event{Kind: LinkChanged, Interface: "eth9"})
	must(t, a.Put("eth9", vip1, 0)) // created after the start of the watch
	w.await(t, Event{Kind: AddressAdded, Interface: "eth9", Prefix: vip1, Asked: true})
}

// A disconnected peer is reported as a lost carrier, not as a removed link.
func TestWatchCarrier(t *testing.T) {
	h, peer := newHost(t), newHost(t)
	netnstest.Wire(t, h, peer)
	w := watchIn(t, h)
	peer.IP(t, "link set eth0 down")
	w.await(t, Event{Kind: LinkChanged, Interface: "eth0", Up: true})
	peer.IP(t, "link set eth0 up")
	w.await(t, Event{Kind: LinkChanged, Interface: "eth0", Up: true, Carrier: true})
}

// If the consumer is slow and the kernel drops events, a Resync follows the loss, and events continue.
func TestWatchOverflow(t *testing.T) {
	h, a := director(t)
	w := &watched{events: make(chan Event, 10_000)}
	blocked, resume := make(chan struct{}), make(chan struct{})
	first := true
	w.run(t, h, 4096, func(e Event) {
		if first {
			first = false
			close(blocked)
			<-resume
		}
		w.events <- e
	})
	<-blocked
	for range 500 {
		must(t, a.Put("eth0", vip1, 60*time.Second))
	}
	close(resume)
	w.await(t, Event{Kind: Resync})
	w.await(t, Event{Kind: Resync})
	must(t, a.Remove("eth0", vip1))
	w.await(t, Event{Kind: AddressRemoved, Interface: "eth0", Prefix: vip1, Asked: true})
}

func TestKindString(t *testing.T) {
	for k, want := range map[Kind]string{
		AddressAdded: "AddressAdded", AddressRemoved: "AddressRemoved",
		LinkChanged: "LinkChanged", LinkRemoved: "LinkRemoved", Resync: "Resync", 0: "Kind(0)",
	} {
		if got := k.String(); got != want {
			t.Errorf("Kind %d is %q; want %q", int(k), got, want)
		}
	}
}

// No input causes a panic, and each event is valid.
func FuzzEvents(f *testing.F) {
	address := []byte{
		unix.AF_INET, 32, 0x80, 0, 2, 0, 0, 0,
		8, 0, unix.IFA_ADDRESS, 0, 10, 77, 0, 100, 8, 0, unix.IFA_LOCAL, 0, 10, 77, 0, 100,
		20, 0, unix.IFA_CACHEINFO, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	}
	link := []byte{
		unix.AF_UNSPEC, 0, 1, 0, 2, 0, 0, 0, 0x43, 0, 0, 0, 0, 0, 0, 0,
		9, 0, unix.IFLA_IFNAME, 0, 'e', 't', 'h', '1', 0,
	}
	for _, kind := range []uint16{unix.RTM_NEWADDR, unix.RTM_DELADDR} {
		f.Add(kind, address)
	}
	for _, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELLINK} {
		f.Add(kind, link)
	}
	f.Add(uint16(unix.NLMSG_DONE), []byte{})
	f.Fuzz(func(t *testing.T, kind uint16, body []byte) {
		for _, e := range (names{2: "eth0"}).events(kind, 0, body) {
			switch e.Kind {
			case Resync:
			case AddressAdded, AddressRemoved:
				if !e.Prefix.IsValid() || e.Interface != "eth0" {
					t.Errorf("%+v", e)
				}
			case LinkChanged, LinkRemoved:
				if e.Interface == "" {
					t.Errorf("%+v", e)
				}
			default:
				t.Errorf("kind %v", e.Kind)
			}
		}
	})
}
