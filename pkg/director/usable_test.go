package director

import (
	"errors"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// A start judges a file as a reload does.
func TestStartJudgesTheHost(t *testing.T) {
	text := electing + router("mysql", "eth0", 51, "10.77.0.100") + virtualServers + balancing("mysql", "10.77.0.100", "dr", "10.77.0.11")
	good, typo := parse(t, text), parse(t, strings.Replace(text, "interface: eth0", "interface: ethO", 1))
	missing := errors.New("no such module")
	for _, tt := range []struct {
		name        string
		before, cfg *config.Config
		node        string
		fail        string
		want        string
	}{
		{"good", &config.Config{}, good, "lvs-master", "", ""},
		{"an unknown interface", good, typo, "lvs-master", "", "lvs-master has no interface ethO"},
		{"one that is waited for", typo, typo, "lvs-master", "", ""},
		{"of another node", good, typo, "nowhere", "", ""},
		{"interfaces that cannot be read", good, typo, "lvs-master", "links", ""},
		{"no IPVS", good, good, "lvs-master", "find ipvs", missing.Error()},
		{"no scheduler", good, good, "lvs-master", "scheduler rr", missing.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			if tt.fail != "" {
				k.refuse(tt.fail, missing)
			}
			err := Judge(k, tt.before, tt.cfg, tt.node)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if k.opened != 0 {
				t.Errorf("%d handles are open", k.opened)
			}
		})
	}
}
