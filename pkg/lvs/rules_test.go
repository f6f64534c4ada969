package lvs

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lvs-director/lvs-director/pkg/config"
)

func TestRules(t *testing.T) {
	six := netip.MustParseAddr("fd00::100")
	tun := Server{Address: netip.MustParseAddr("fd00::11"), Port: 80, Forward: config.TUN, Weight: 1}
	got := Rules([]Service{
		{Key: tcp(3306), Scheduler: "wrr", Persistence: 50 * time.Second, Netmask: 32, Servers: []Server{dr(11, 3)}},
		{Key: tcp(3307), Scheduler: "rr", Persistence: 50 * time.Second, Netmask: 20},
		{Key: Key{Protocol: "udp", Address: six, Port: 53}, Scheduler: "lc", Persistence: time.Minute, Netmask: 64, Servers: []Server{tun}},
		{Key: Key{Protocol: "sctp", Address: six, Port: 5}, Scheduler: "lc", Persistence: time.Minute},
		{Key: Key{Protocol: FirewallMark, Address: netip.IPv4Unspecified(), Mark: 5}, Scheduler: "sh"},
		{Key: Key{Protocol: FirewallMark, Address: netip.IPv6Unspecified(), Mark: 5}, Scheduler: "sh"},
	})
	want := `-A -t 10.77.0.100:3306 -s wrr -p 50
-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3
-A -t 10.77.0.100:3307 -s rr -p 50 -M 255.255.240.0
-A -u [fd00::100]:53 -s lc -p 60 -M 64
-a -u [fd00::100]:53 -r [fd00::11]:80 -i -w 1 --tun-type ipip
-A --sctp-service [fd00::100]:5 -s lc -p 60
-A -f 5 -s sh
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
		"fwm 5":                {Protocol: FirewallMark, Address: netip.IPv4Unspecified(), Mark: 5},
	} {
		if got := key.String(); got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
