package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// The closed addresses are those of all instances of both files that do not accept packets, with the excluded ones. Only
// virtual servers on them are exempt, and the address owner accepts.
func TestClosed(t *testing.T) {
	closed := func(cfg *config.Config, instances ...int) *config.Config {
		for _, n := range instances {
			cfg.Instances[n].NoAccept = true
		}
		return cfg
	}
	two := func() *config.Config {
		return file("a@eth0/51=10.77.0.100,10.77.0.101", "b@eth0/52=10.77.0.102", "mysql@10.77.0.101:db1", "web@10.77.0.102:db1", "other@10.77.0.9:db1")
	}
	owner := closed(two(), 0, 1)
	owner.Instances[0].Priority = 255
	excluded := closed(two(), 1)
	excluded.Instances[1].ExcludedAddresses = excluded.Instances[0].VirtualAddresses[:1]
	every := closed(two(), 0)
	every.VirtualServers[0].Port = 0
	marked := closed(two(), 0)
	marked.VirtualServers[2] = config.VirtualServer{Name: "marked", Mark: 5, RealServers: marked.VirtualServers[2].RealServers}
	accepting := two()
	accepting.VirtualServers[2] = marked.VirtualServers[2]
	for name, tt := range map[string]struct {
		now, next *config.Config
		want      string
	}{
		"accepting":  {accepting, nil, "[] [] []"},
		"every port": {every, nil, "[10.77.0.100 10.77.0.101] [{6 10.77.0.101:0}] []"},
		"mark":       {marked, nil, "[10.77.0.100 10.77.0.101] [{6 10.77.0.101:3306}] [{IPv4 5}]"},
		"one closed": {closed(two(), 0), nil, "[10.77.0.100 10.77.0.101] [{6 10.77.0.101:3306}] []"},
		"both":       {closed(two(), 0, 1), nil, "[10.77.0.100 10.77.0.101 10.77.0.102] [{6 10.77.0.101:3306} {6 10.77.0.102:3306}] []"},
		"owner":      {owner, nil, "[10.77.0.102] [{6 10.77.0.102:3306}] []"},
		"excluded":   {excluded, nil, "[10.77.0.100 10.77.0.102] [{6 10.77.0.102:3306}] []"},
		"reload":     {closed(two(), 0), closed(file("c@eth0/53=10.77.0.103", "new@10.77.0.100:db1"), 0), "[10.77.0.100 10.77.0.101 10.77.0.103] [{6 10.77.0.100:3306} {6 10.77.0.101:3306}] []"},
	} {
		in := inputs(tt.now)
		in.Next = tt.next
		p := Of(in)
		if got := fmt.Sprint(p.Closed.Addresses, " ", p.Closed.Open, " ", p.Closed.Marks); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// The rules are set before the VIPs of the same plan.
func TestClosedBeforeTheVIPs(t *testing.T) {
	after := file("a@eth0/51=10.77.0.100")
	after.Instances[0].NoAccept = true
	steps := reload(file("b@eth0/52=10.77.0.102"), after)
	rules, vips := strings.Index(steps, string(CloseVIPs)), strings.Index(steps, "set the VIPs of a")
	if rules < 0 || vips < rules {
		t.Errorf("the steps are\n%s", steps)
	}
}
