package lvs

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lvs-director/lvs-director/pkg/config"
	"pgregory.net/rapid"
)

func tcp(port uint16) Key {
	return Key{Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: port}
}

func dr(last byte, weight int) Server {
	return Server{Address: netip.AddrFrom4([4]byte{10, 77, 0, last}), Port: 3306, Forward: config.DR, Weight: weight}
}

func wrr(port uint16, servers ...Server) Service {
	return Service{Key: tcp(port), Scheduler: "wrr", Servers: servers}
}

func TestDiff(t *testing.T) {
	persistent := wrr(3306, dr(11, 1))
	persistent.Persistence, persistent.Netmask = 50*time.Second, 24
	stray := wrr(3306, dr(11, 1))
	stray.Stray = "flags 0x4"
	leftover := wrr(3306, dr(11, 1))
	leftover.Netmask = 32 // means nothing without persistence
	hostMask := persistent
	hostMask.Netmask = 0
	hostMaskSpelled := persistent
	hostMaskSpelled.Netmask = 32
	limited, nat, busy := dr(11, 1), dr(11, 1), dr(11, 1)
	limited.Upper = 10
	nat.Forward = config.NAT
	busy.ActiveConnections = 7

	for _, tt := range []struct {
		name       string
		want, have []Service
		steps      string
	}{
		{"nothing", nil, nil, ""},
		{
			"new", []Service{wrr(3306, dr(11, 3), dr(12, 1))}, nil, `
			ipvsadm -A -t 10.77.0.100:3306 -s wrr
			ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3
			ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 1`,
		},
		{
			"give before take",
			[]Service{wrr(3306, dr(11, 1), dr(12, 5), dr(13, 2))},
			[]Service{wrr(3306, dr(11, 3), dr(12, 1), dr(14, 1))},
			`
			ipvsadm -e -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 5
			ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.13:3306 -g -w 2
			ipvsadm -e -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1
			ipvsadm -d -t 10.77.0.100:3306 -r 10.77.0.14:3306`,
		},
		{
			"ours goes last, foreign stays",
			[]Service{wrr(3306)},
			[]Service{wrr(9999, dr(11, 1)), wrr(3307, dr(11, 1))},
			`
			ipvsadm -A -t 10.77.0.100:3306 -s wrr
			ipvsadm -D -t 10.77.0.100:3307`,
		},
		{"counters", []Service{wrr(3306, dr(11, 1))}, []Service{wrr(3306, busy)}, ""},
		{"order", []Service{wrr(3306, dr(11, 1), dr(12, 1))}, []Service{wrr(3306, dr(12, 1), dr(11, 1))}, ""},
		{"persistence", []Service{persistent}, []Service{wrr(3306, dr(11, 1))}, "ipvsadm -E -t 10.77.0.100:3306 -s wrr -p 50 -M 255.255.255.0"},
		{"no persistence", []Service{wrr(3306, dr(11, 1))}, []Service{persistent}, "ipvsadm -E -t 10.77.0.100:3306 -s wrr"},
		{"a netmask without persistence", []Service{wrr(3306, dr(11, 1))}, []Service{leftover}, ""},
		{"a netmask of one client, spelled or not", []Service{hostMask}, []Service{hostMaskSpelled}, ""},
		{"stray flags", []Service{wrr(3306, dr(11, 1))}, []Service{stray}, "ipvsadm -E -t 10.77.0.100:3306 -s wrr"},
		{"stray threshold", []Service{wrr(3306, dr(11, 1))}, []Service{wrr(3306, limited)}, "ipvsadm -e -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1"},
		{"a later look that sees less", []Service{stray}, []Service{wrr(3306, dr(11, 1))}, ""},
		{"stray as read", []Service{stray}, []Service{stray}, ""},
		{"forwarding method", []Service{wrr(3306, nat)}, []Service{wrr(3306, dr(11, 1))}, "ipvsadm -e -t 10.77.0.100:3306 -r 10.77.0.11:3306 -m -w 1"},
		{
			"named twice: the first counts",
			[]Service{wrr(3306, dr(11, 1), dr(11, 2)), wrr(3306, dr(12, 1))},
			nil, `
			ipvsadm -A -t 10.77.0.100:3306 -s wrr
			ipvsadm -a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 1`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var steps []string
			for _, op := range Diff(tt.want, tt.have, func(k Key) bool { return k.Port < 9000 }) {
				steps = append(steps, op.String())
			}
			want := strings.ReplaceAll(strings.TrimSpace(tt.steps), "\t", "")
			if diff := cmp.Diff(want, strings.Join(steps, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}

	if ops := Diff(nil, []Service{wrr(3306)}, nil); len(ops) != 0 {
		t.Errorf("ours nil deletes: %v", ops)
	}
}

func TestForeign(t *testing.T) {
	have := []Service{wrr(3306), wrr(3307), wrr(9999)}
	got := Foreign([]Service{wrr(3306)}, have, func(k Key) bool { return k.Port == 3307 })
	if diff := cmp.Diff([]Key{tcp(9999)}, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if got := Foreign(nil, have, nil); len(got) != 3 {
		t.Errorf("ours nil: foreign = %v, want all", got)
	}
}

// A generated table has few possible keys, so that two tables overlap. Ports 1-3 are ours, 4-5 foreign.
func table(ports ...uint16) *rapid.Generator[[]Service] {
	server := rapid.Custom(func(t *rapid.T) Server { // a tunnel can lead into the other family
		s := dr(byte(rapid.IntRange(11, 14).Draw(t, "host")), rapid.IntRange(0, 3).Draw(t, "weight"))
		if rapid.Bool().Draw(t, "IPv6") {
			s.Address = six(s.Address)
		}
		s.Forward = rapid.SampledFrom([]config.Forward{config.DR, config.NAT, config.TUN}).Draw(t, "forward")
		return s
	})
	service := rapid.Custom(func(t *rapid.T) Service {
		s := wrr(rapid.SampledFrom(ports).Draw(t, "port"))
		s.Scheduler = rapid.SampledFrom([]string{"rr", "wrr"}).Draw(t, "scheduler")
		s.Persistence = time.Duration(rapid.IntRange(0, 1).Draw(t, "persistence")) * 50 * time.Second
		s.Netmask = rapid.SampledFrom([]int{0, 24, 32}).Draw(t, "netmask")
		if rapid.Bool().Draw(t, "IPv6") {
			s.Address, s.Netmask = six(s.Address), 4*s.Netmask
		}
		s.Servers = rapid.SliceOfNDistinct(server, 0, 4, Server.AddrPort).Draw(t, "servers")
		return s
	})
	return rapid.SliceOfNDistinct(service, 0, 4, func(s Service) Key { return s.Key })
}

// six returns an IPv6 address for an IPv4 one: fd00::100 for 10.77.0.100.
func six(four netip.Addr) netip.Addr {
	text := four.String()
	return netip.MustParseAddr("fd00::" + text[strings.LastIndex(text, ".")+1:])
}

func isOurs(k Key) bool { return k.Port <= 3 }

// text returns a table in a comparable form: the order, and a netmask without persistence, do not matter.
func text(services []Service) string { return Rules(Sorted(services)) }

func split(services []Service, ours func(Key) bool) (own, foreign []Service) {
	for _, s := range services {
		if ours(s.Key) {
			own = append(own, s)
		} else {
			foreign = append(foreign, s)
		}
	}
	return own, foreign
}

func TestDiffOfItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := table(1, 2, 3, 4).Draw(t, "a")
		b := rapid.Permutation(a).Draw(t, "b")
		if ops := Diff(a, b, func(Key) bool { return true }); len(ops) != 0 {
			t.Fatalf("steps between a table and itself: %v", ops)
		}
	})
}

// Wherever a pass is interrupted, the next one completes it; foreign services never change; a repeated pass does
// nothing.
func TestDiffArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, have := table(1, 2, 3).Draw(t, "want"), table(1, 2, 3, 4, 5).Draw(t, "have")
		_, foreign := split(have, isOurs)
		ops := Diff(want, have, isOurs)
		cut := rapid.IntRange(0, len(ops)).Draw(t, "cut")
		half := Apply(have, ops[:cut])
		whole := Apply(half, Diff(want, half, isOurs))
		own, left := split(whole, isOurs)
		if diff := cmp.Diff(text(want), text(own)); diff != "" {
			t.Fatalf("after a pass interrupted at %d of %d: %s", cut, len(ops), diff)
		}
		if diff := cmp.Diff(text(foreign), text(left)); diff != "" {
			t.Fatalf("foreign services: %s", diff)
		}
		if again := Diff(want, whole, isOurs); len(again) != 0 {
			t.Fatalf("the next pass: %v", again)
		}
		if named := Foreign(want, have, isOurs); len(named) != len(foreign) {
			t.Fatalf("Foreign = %v, want %d", named, len(foreign))
		}
	})
}

// A pool that accepts connections before and after also accepts them after every intermediate operation.
func TestDiffNeverEmptiesAPool(t *testing.T) {
	takes := func(table []Service, key Key) bool {
		for _, s := range table {
			if s.Key == key {
				return slices.ContainsFunc(s.Servers, func(s Server) bool { return s.Weight > 0 })
			}
		}
		return false
	}
	rapid.Check(t, func(t *rapid.T) {
		want, have := table(1, 2).Draw(t, "want"), table(1, 2).Draw(t, "have")
		ops := Diff(want, have, isOurs)
		for _, s := range want {
			if !takes(want, s.Key) || !takes(have, s.Key) {
				continue
			}
			for i := range ops {
				if !takes(Apply(have, ops[:i+1]), s.Key) {
					t.Fatalf("%s accepts no connections after operation %d of %v", s.Key, i+1, ops)
				}
			}
		}
	})
}

// The kernel accepts the operations in their order: Apply's model refuses none of them.
func TestDiffIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := table(1, 2, 3, 4).Draw(t, "have")
		state := have
		for _, op := range Diff(table(1, 2, 3).Draw(t, "want"), have, isOurs) {
			next := Apply(state, []Op{op})
			if cmp.Equal(state, next, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()) {
				t.Fatalf("%s changes nothing of\n%s", op, text(state))
			}
			state = next
		}
	})
}

func TestApplyKeepsItsArguments(t *testing.T) {
	have := []Service{wrr(3306, dr(11, 1), dr(12, 1))}
	before := Rules(have)
	Apply(have, []Op{
		{Kind: UpdateServer, Service: wrr(3306), Server: dr(11, 5)},
		{Kind: DeleteServer, Service: wrr(3306), Server: dr(12, 1)},
		{Kind: DeleteService, Service: wrr(3306)},
	})
	if diff := cmp.Diff(before, Rules(have)); diff != "" {
		t.Error(diff)
	}
}
