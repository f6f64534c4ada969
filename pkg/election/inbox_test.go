package election

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

var inboxPeer, inboxFlooder = netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.66")

// datagramOf returns a VRRP message with a priority and an identifying number.
func datagramOf(source netip.Addr, priority, number byte) vrrp.Datagram {
	return vrrp.Datagram{Source: source, Payload: []byte{0x31, 51, priority, number}}
}

func numbers(all []vrrp.Datagram) (out []byte) {
	for _, d := range all {
		out = append(out, d.Payload[3])
	}
	return out
}

func TestInboxKeepsTheNewest(t *testing.T) {
	b := newInbox()
	for i := range byte(20) {
		b.put(0, datagramOf(inboxPeer, 150, i))
	}
	taken, next := b.take(0)
	if got := numbers(taken); !slices.Equal(got, []byte{12, 13, 14, 15, 16, 17, 18, 19}) || next != 0 || b.overflow() != 12 {
		t.Errorf("taken %v, the next at %s, %d discarded; want the newest 8 of 20", got, next, b.overflow())
	}
}

func TestInboxKeepsResignations(t *testing.T) {
	b := newInbox()
	b.put(0, datagramOf(inboxPeer, 0, 1))
	for i := range byte(20) {
		b.put(0, datagramOf(inboxPeer, 150, 2+i))
	}
	if taken, _ := b.take(0); taken[0].Payload[2] != 0 || len(taken) != allowAtOnce {
		t.Errorf("taken %v, want the resignation first", numbers(taken))
	}
}

// A resignation does not wait behind a burst that has been taken in part; repeated ones do.
func TestInboxResignationIsHurried(t *testing.T) {
	b := newInbox()
	burst := func(at time.Duration) {
		for i := range byte(2 * allowAtOnce) {
			b.put(at, datagramOf(inboxPeer, 150, i))
		}
	}
	burst(0)
	if taken, _ := b.take(0); len(taken) != allowAtOnce {
		t.Fatalf("%d taken, want %d", len(taken), allowAtOnce)
	}
	resign := func(at time.Duration, want int) {
		t.Helper()
		burst(at)
		b.put(at, datagramOf(inboxPeer, 0, 99))
		b.put(at, datagramOf(inboxPeer, 150, 100))
		taken, next := b.take(at)
		if len(taken) != want || want > 0 && taken[want-1].Payload[2] != 0 || next == 0 {
			t.Errorf("at %s: %v taken, the next at %s, want %d, the resignation last", at, numbers(taken), next, want)
		}
	}
	resign(0, allowAtOnce-1)
	resign(time.Millisecond, 0)
	b.take(hurryEvery / 2)
	burst(hurryEvery)
	b.take(hurryEvery)
	resign(hurryEvery, allowAtOnce-1)
}

// A flood from one source leaves room for the others, whether they were known before it or not.
func TestInboxUnderFlood(t *testing.T) {
	b := newInbox()
	b.put(0, datagramOf(inboxPeer, 150, 1))
	for i := range 2000 {
		b.put(0, datagramOf(netip.AddrFrom4([4]byte{10, 77, 1, byte(66 + i%150)}), 90, 2))
	}
	b.put(0, datagramOf(inboxPeer, 150, 3))
	taken, _ := b.take(0)
	if len(taken) > (allowSources+1)*allowAtOnce || taken[0].Source != inboxPeer || taken[len(taken)-1].Source != inboxPeer {
		t.Errorf("%d taken, the first from %s, the last from %s", len(taken), taken[0].Source, taken[len(taken)-1].Source)
	}
	if b.overflow() < 1800 {
		t.Errorf("%d discarded", b.overflow())
	}
}

func TestInboxRates(t *testing.T) {
	b := newInbox()
	counts := map[netip.Addr]int{}
	for i := range 100_000 { // 10 s, 10 000 a second of each kind
		now := time.Duration(i) * 100 * time.Microsecond
		if i%100 == 0 { // adverts every 10 ms
			b.put(now, datagramOf(inboxPeer, 150, 0))
		}
		b.put(now, datagramOf(inboxFlooder, 0, 0)) // resignations are rate-limited, too
		b.put(now, datagramOf(netip.AddrFrom4([4]byte{10, 78, byte(i >> 8), byte(i)}), 90, 0))
		taken, _ := b.take(now)
		for _, d := range taken {
			if d.Source == inboxPeer || d.Source == inboxFlooder {
				counts[d.Source]++
			} else {
				counts[netip.Addr{}]++
			}
		}
	}
	if counts[inboxPeer] != 1000 {
		t.Errorf("%d of 1000 adverts of the peer were taken", counts[inboxPeer])
	}
	if most := 2000 + 10*allowAtOnce; counts[inboxFlooder] > most {
		t.Errorf("%d of the flood were taken, want at most %d", counts[inboxFlooder], most)
	}
	if most := 2*(2000+allowAtOnce) + allowSources; counts[netip.Addr{}] > most {
		t.Errorf("%d of forged sources were taken, want at most %d", counts[netip.Addr{}], most)
	}
	if len(b.sources) > allowSources {
		t.Errorf("%d sources have an entry, want at most %d", len(b.sources), allowSources)
	}
	b.take(time.Hour)
	if !b.room(time.Hour) {
		t.Error("sources that have been silent for longer than allowFor keep their entries")
	}
}

// The newest datagram of a source with its own backlog is never lost, datagrams stay in order, and next is when more
// can be taken.
func TestInboxProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newInbox()
		now, newest, number := time.Duration(0), map[netip.Addr]byte{}, byte(0)
		last := map[netip.Addr]byte{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 20).Draw(t, "ms")) * time.Millisecond
			source := rapid.SampledFrom([]netip.Addr{inboxPeer, inboxFlooder}).Draw(t, "source")
			number++
			newest[source] = number
			b.put(now, datagramOf(source, rapid.SampledFrom([]byte{0, 100}).Draw(t, "priority"), number))
			if rapid.Bool().Draw(t, "take") {
				taken, _ := b.take(now)
				for _, d := range taken {
					if n := d.Payload[3]; n <= last[d.Source] {
						t.Fatalf("%d of %s comes after %d", n, d.Source, last[d.Source])
					}
					last[d.Source] = d.Payload[3]
				}
			}
		}
		for tries := 0; ; tries++ {
			taken, next := b.take(now)
			for _, d := range taken {
				last[d.Source] = d.Payload[3]
			}
			if next == 0 {
				break
			}
			if next <= now || tries > 2*allowAtOnce {
				t.Fatalf("at %s the next is at %s", now, next)
			}
			now = next
		}
		for source, n := range newest {
			if last[source] != n {
				t.Fatalf("the newest of %s is %d, and %d was taken last", source, n, last[source])
			}
		}
	})
}

// A resignation directly after a burst of adverts: the BACKUP takes over after the skew.
func TestResignationAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN()
		b := l.join(t, "b", "10.77.0.3", 100)
		time.Sleep(time.Second)
		l.mu.Lock()
		l.epoch = time.Now()
		l.mu.Unlock()
		advert := func(priority uint8) {
			p := vrrp.Packet{Version: 3, VRID: 51, Priority: priority, Interval: time.Second, Addresses: b.addresses}
			payload, err := p.Append(nil, inboxPeer, group, vrrp.PseudoHeaderChecksum)
			if err != nil {
				t.Fatal(err)
			}
			b.Deliver(vrrp.Datagram{Payload: payload, Source: inboxPeer, Destination: group, TTL: 255})
		}
		b.command(func(*Actor) { time.Sleep(10 * time.Millisecond) }) // so that all of them wait when the actor takes them
		synctest.Wait()
		for range 20 {
			advert(150)
		}
		advert(0)
		time.Sleep(5 * time.Second)
		l.expect(t, "   619ms b acquire silent=false")
		b.stop()
	})
}
