package director

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

func TestFaultsAreMerged(t *testing.T) {
	i := &instance{
		faults: map[fault]string{},
		actor:  election.New(election.Options{Name: "mysql", Params: vrrp.Params{VRID: 51, Version: 3}, Log: slog.New(slog.DiscardHandler)}),
	}
	for _, step := range []struct {
		who          fault
		reason, want string
	}{
		{fault{"gateway"}, "gateway: no answer", "gateway: no answer"},
		{fault{}, "no carrier", "no carrier; gateway: no answer"},
		{fault{"gateway"}, "", "no carrier"},
		{fault{}, "down", "down"},
		{fault{}, "", ""},
	} {
		i.setFault(step.who, step.reason)
		if got := i.fault(); got != step.want {
			t.Errorf("after %q says %q: %q, want %q", step.who, step.reason, got, step.want)
		}
	}
}

// on is the instance on another interface.
func on(i config.Instance, name string) config.Instance {
	i.Interface = name
	return i
}

func TestBecomesAnother(t *testing.T) {
	base := config.Instance{
		Name: "mysql", Interface: "eth0", VRID: 51, ProtocolVersion: 3, Priority: 100,
		VirtualAddresses: []netip.Prefix{netip.MustParsePrefix("10.77.0.100/32")},
	}
	for _, tt := range []struct {
		name string
		edit func(*config.Instance)
		want bool
	}{
		{"nothing", func(*config.Instance) {}, false},
		{"priority, VIPs, lease", func(i *config.Instance) { i.Priority, i.VirtualAddresses, i.Lease = 7, nil, 9 }, false},
		{"interface", func(i *config.Instance) { i.Interface = "eth1" }, true},
		{"interface of another node", func(i *config.Instance) {
			i.PerNode = map[string]config.Instance{"lvs-backup": on(*i, "eth1")}
		}, false},
		{"interface of this node", func(i *config.Instance) {
			i.PerNode = map[string]config.Instance{"lvs-master": on(*i, "eth1")}
		}, true},
		{"virtual router id", func(i *config.Instance) { i.VRID = 52 }, true},
		{"protocol version", func(i *config.Instance) { i.ProtocolVersion = 2 }, true},
		{"name", func(i *config.Instance) { i.Name = "other" }, true},
	} {
		next := base
		tt.edit(&next)
		if got := becomesAnother(base, &config.Config{Instances: []config.Instance{next}}, "lvs-master"); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}
