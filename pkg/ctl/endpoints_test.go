package ctl

import (
	"testing"

	"github.com/lvs-director/lvs-director/pkg/status"
)

func TestEndpoints(t *testing.T) {
	two := []string{"10.77.0.100", "10.77.0.101"}
	for _, c := range []struct {
		v    status.VirtualServer
		want string
	}{
		{status.VirtualServer{Address: "10.77.0.100", Port: 3306}, "10.77.0.100:3306"},
		{status.VirtualServer{Address: "10.77.0.100"}, "10.77.0.100"},
		{status.VirtualServer{Address: "fd00::1", Port: 80}, "[fd00::1]:80"},
		{status.VirtualServer{Address: two[0], Port: 80, Addresses: two, Ports: []int{80}}, "10.77.0.100,10.77.0.101 port 80"},
		{status.VirtualServer{Address: two[0], Port: 80, Addresses: two[:1], Ports: []int{80, 82, 83, 84, 81}}, "10.77.0.100 ports 80,82-84,81"},
	} {
		if got := endpoints(c.v); got != c.want {
			t.Errorf("%+v: %q, want %q", c.v, got, c.want)
		}
	}
}
