package lvs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// poolOf returns a virtual server on a port with real servers by the last number of their addresses.
func poolOf(name string, port uint16, servers ...int) config.VirtualServer {
	v := config.VirtualServer{Name: name, Protocol: "tcp", Address: netip.MustParseAddr("10.77.0.100"), Port: port}
	for _, n := range servers {
		v.RealServers = append(v.RealServers, config.RealServer{Name: fmt.Sprint("s", n), Address: netip.AddrFrom4([4]byte{10, 77, byte(n >> 8), byte(n)}), Port: port})
	}
	return v
}

func TestRemoved(t *testing.T) {
	type pools = []config.VirtualServer
	otherName := poolOf("other", 1, 1, 2, 3)
	otherName.RealServers[0].Name = "renamed"
	for _, tt := range []struct {
		name          string
		before, after pools
		want          string
		large         bool
	}{
		{"nothing", pools{poolOf("a", 1, 1, 2, 3)}, pools{poolOf("a", 1, 1, 2, 3)}, "0 of 3 real servers: ", false},
		{"other names", pools{poolOf("a", 1, 1, 2, 3)}, pools{otherName}, "0 of 3 real servers: ", false},
		{"more", pools{poolOf("a", 1, 1)}, pools{poolOf("a", 1, 1, 2, 3)}, "0 of 1 real servers: ", false},
		{"all, but two only", pools{poolOf("a", 1, 1, 2)}, pools{}, "2 of 2 real servers: a/s1, a/s2", false},
		{"three, but half only", pools{poolOf("a", 1, 1, 2, 3, 4, 5, 6)}, pools{poolOf("a", 1, 1, 2, 3)}, "3 of 6 real servers: a/s4, a/s5, a/s6", false},
		{"three of five", pools{poolOf("a", 1, 1, 2, 3, 4, 5)}, pools{poolOf("a", 1, 4, 5, 6, 7, 8)}, "3 of 5 real servers: a/s1, a/s2, a/s3", true},
		{"of several virtual servers", pools{poolOf("a", 1, 1, 2), poolOf("b", 2, 1, 2)}, pools{poolOf("a", 1, 1)}, "3 of 4 real servers: a/s2, b/s1, b/s2", true},
		{"another port", pools{poolOf("a", 1, 1, 2, 3)}, pools{poolOf("a", 2, 1, 2, 3)}, "3 of 3 real servers: a/s1, a/s2, a/s3", true},
	} {
		if got := Removed(tt.before, tt.after); got.String() != tt.want || got.Large() != tt.large {
			t.Errorf("%s: %s, large: %t", tt.name, got, got.Large())
		}
	}
	var many []int
	for n := range 30 {
		many = append(many, n)
	}
	if got := Removed(pools{poolOf("a", 1, many...)}, nil).String(); !strings.HasPrefix(got, "30 of 30 real servers: a/s0, ") || !strings.HasSuffix(got, ", a/s19 and 10 more") {
		t.Error(got)
	}
}
