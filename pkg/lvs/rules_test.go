package lvs

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func TestRules(t *testing.T) {
	six := netip.MustParseAddr("fd00::100")
	tun := Server{Address: netip.MustParseAddr("fd00::11"), Port: 80, Forward: config.TUN, Weight: 1}
	got := Rules([]Service{
		{Key: tcp(3306), Scheduler: "wrr", Persistence: 50 * time.Second, Netmask: 32, Servers: []Server{dr(11, 3)}},
		{Key: tcp(3307), Scheduler: "rr", Persistence: 50 * time.Second, Netmask: 20},
		{Key: Key{Protocol: "udp", Address: six, Port: 53}, Scheduler: "lc", Persistence: time.Minute, Netmask: 64, Servers: []Server{tun}},
		{Key: Key{Protocol: "sctp", Address: six, Port: 5}, Scheduler: "lc", Persistence: time.Minute},
		{Key: Marked(kernel.IPv4, 5), Scheduler: "sh"},
		{Key: tcp(3308), Scheduler: "sh", Flags: Flag1 | Flag2, Persistence: time.Minute},
		{Key: tcp(3309), Scheduler: "wlc", Flags: Flag1 | Flag3},
		{Key: Marked(kernel.IPv6, 5), Scheduler: "sh"},
	})
	want := `-A -t 10.77.0.100:3306 -s wrr -p 50
-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3
-A -t 10.77.0.100:3307 -s rr -p 50 -M 255.255.240.0
-A -u [fd00::100]:53 -s lc -p 60 -M 64
-a -u [fd00::100]:53 -r [fd00::11]:80 -i -w 1 --tun-type ipip
-A --sctp-service [fd00::100]:5 -s lc -p 60
-A -f 5 -s sh
-A -t 10.77.0.100:3308 -s sh -p 60 -b sh-fallback,sh-port
-A -t 10.77.0.100:3309 -s wlc -b flag-1,flag-3
-A -f 5 -6 -s sh
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeyString(t *testing.T) {
	for want, key := range map[string]Key{
		"tcp 10.77.0.100:3306": tcp(3306),
		"tcp [fd00::1]:80":     {Protocol: "tcp", Address: netip.MustParseAddr("fd00::1"), Port: 80},
		"fwm 5":                Marked(kernel.IPv4, 5),
		"fwm 5 (IPv6)":         Marked(kernel.IPv6, 5),
	} {
		if got := key.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

// Different keys, even if only the family differs, have different texts and rules, and are ordered.
func TestKeysAreToldApart(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) Key {
		six := rapid.Bool().Draw(t, "IPv6")
		if rapid.Bool().Draw(t, "marked") {
			family := kernel.IPv4
			if six {
				family = kernel.IPv6
			}
			return Marked(family, rapid.Uint32Range(1, 2).Draw(t, "mark"))
		}
		addresses := []string{"10.0.0.1", "10.0.0.2"}
		if six {
			addresses = []string{"fd00::1", "::ffff:10.0.0.1"} // the second one is not 10.0.0.1 to the kernel
		}
		return Key{
			Protocol: rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(t, "protocol"),
			Address:  netip.MustParseAddr(rapid.SampledFrom(addresses).Draw(t, "address")), Port: rapid.Uint16Range(0, 1).Draw(t, "port"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		same := a == b
		if (a.String() == b.String()) != same || (a.rule() == b.rule()) != same || (a.Compare(b) == 0) != same || a.Compare(b) != -b.Compare(a) {
			t.Fatalf("%#v and %#v: %s and %s, %s and %s, %d", a, b, a, b, a.rule(), b.rule(), a.Compare(b))
		}
		if want := kernel.FamilyOf(a.Address); a.Family() != want || want == 0 {
			t.Fatalf("%s is of %s", a, a.Family())
		}
	})
}

// The key of a virtual server of the cluster file has the family of its address.
func TestKeyOfBothFamilies(t *testing.T) {
	for _, address := range []string{"10.77.0.100", "fd00::100"} {
		a := netip.MustParseAddr(address)
		got := KeyOf(config.VirtualServer{Protocol: "tcp", Address: a, Port: 80})
		if want := (Key{Protocol: "tcp", Address: a, Port: 80}); got != want || got.Family() != kernel.FamilyOf(a) {
			t.Errorf("%s: %v", address, got)
		}
	}
}
