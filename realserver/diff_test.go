package realserver

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

func there(a kernel.IfAddr, valid time.Duration) addr.Address {
	return addr.Address{Interface: a.Interface, Prefix: a.Prefix, Valid: valid, Global: true}
}

func TestDiff(t *testing.T) {
	const ignore, announce = "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce"
	want := State{Up: []string{"lo"}, Addresses: []kernel.IfAddr{onLo}, Sysctls: map[string]string{ignore: "1", announce: "2"}}
	right := func() Found {
		return Found{
			Links: []addr.Link{lo, eth0}, Addresses: []addr.Address{there(onLo, 0)},
			Sysctls:      map[string]string{ignore: "1", announce: "2"},
			OwnAddresses: []kernel.IfAddr{onLo}, OwnSysctls: []statefile.Sysctl{{Key: announce, Found: "0", Wrote: "2"}, {Key: ignore, Found: "0", Wrote: "1"}},
		}
	}
	other := kernel.IfAddr{Interface: "lo", Prefix: netip.MustParsePrefix("10.77.0.200/32")}
	tests := []struct {
		name string
		want State
		have func(*Found)
		plan Plan
	}{
		{"nothing to do", want, func(*Found) {}, Plan{}},
		{"everything", want, func(h *Found) {
			*h = Found{Links: []addr.Link{{Name: "lo"}}, Sysctls: map[string]string{ignore: "0", announce: "1"}}
		}, Plan{Sysctls: reconcile.SysctlPlan{Set: []Change{{Key: announce, From: "1", To: "2"}, {Key: ignore, From: "0", To: "1"}}}, Up: []string{"lo"}, Put: []kernel.IfAddr{onLo}}},
		{"stricter values are not ours", want, func(h *Found) { h.Sysctls[ignore] = "8" }, Plan{Sysctls: reconcile.SysctlPlan{Set: []Change{{Key: ignore, From: "8", To: "1"}}}}},
		{"sysctl that the kernel lacks", want, func(h *Found) { delete(h.Sysctls, ignore) }, Plan{}},
		{"a VIP with a lease will go", want, func(h *Found) { h.Addresses[0].Valid = time.Second }, Plan{Put: []kernel.IfAddr{onLo}}},
		{
			"another prefix or interface is not it", want, func(h *Found) {
				h.Addresses = []addr.Address{
					{Interface: "lo", Prefix: netip.MustParsePrefix(vip + "/24")},
					{Interface: "eth0", Prefix: netip.MustParsePrefix(vip + "/32")},
				}
			},
			Plan{Put: []kernel.IfAddr{onLo}},
		},
		{"no interface, no address", want, func(h *Found) { h.Links, h.Addresses = nil, nil }, Plan{}},
		{"recorded and no longer wanted", want, func(h *Found) {
			h.OwnAddresses = append(h.OwnAddresses, other)
			h.OwnSysctls = append(h.OwnSysctls, statefile.Sysctl{Key: "k", Found: "0", Wrote: "1"})
			h.Sysctls["k"] = "1"
		}, Plan{Remove: []kernel.IfAddr{other}, Sysctls: reconcile.SysctlPlan{Restore: []Change{{Key: "k", From: "1", To: "0"}}}}},
		{"not recorded", want, func(h *Found) { h.Addresses = append(h.Addresses, there(other, 0)) }, Plan{}},
		{
			"the way out",
			State{},
			func(*Found) {},
			Plan{Remove: []kernel.IfAddr{onLo}, Sysctls: reconcile.SysctlPlan{Restore: []Change{{Key: announce, From: "2", To: "0"}, {Key: ignore, From: "1", To: "0"}}}},
		},
		{"stop: another process changed it, the interface is gone", State{}, func(h *Found) {
			h.Sysctls[ignore] = "2"
			delete(h.Sysctls, announce)
		}, Plan{Remove: []kernel.IfAddr{onLo}, Sysctls: reconcile.SysctlPlan{Forget: []string{announce, ignore}, Foreign: []Change{{Key: ignore, From: "1", To: "2"}}}}},
		{"the way out: it was right before us, or is again as before", State{}, func(h *Found) {
			h.OwnSysctls[0].Found = "2"
			h.Sysctls[ignore] = "0"
		}, Plan{Remove: []kernel.IfAddr{onLo}, Sysctls: reconcile.SysctlPlan{Forget: []string{announce, ignore}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			have := right()
			tt.have(&have)
			if diff := cmp.Diff(tt.plan, Diff(tt.want, have), comparing); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDiffConverges: from any state, applying the plan leaves nothing to do and changes only what is wanted or
// recorded, and undoing it restores the original state.
func TestDiffConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		links := []addr.Link{lo, eth0, eth05, tunl0}
		forwards := rapid.SliceOfN(rapid.SampledFrom([]config.Forward{config.DR, config.TUN, config.NAT}), 0, 3).Draw(r, "forwards")
		want := Desired(cluster(forwards...), links, node)
		foreign := kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.11/24")}
		have := Found{Links: links, Sysctls: map[string]string{}, Addresses: []addr.Address{there(foreign, 0)}}
		for _, a := range []kernel.IfAddr{onLo, onTun} {
			if rapid.Bool().Draw(r, "there") {
				have.Addresses = append(have.Addresses, there(a, 0))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(want.Sysctls)) {
			if rapid.IntRange(0, 9).Draw(r, "exists") > 0 {
				have.Sysctls[key] = rapid.SampledFrom([]string{"0", "1", "2"}).Draw(r, key)
			}
		}
		before := maps.Clone(have.Sysctls)

		carryOut(&have, want, Diff(want, have))
		if diff := cmp.Diff(Plan{}, Diff(want, have), comparing); diff != "" {
			r.Fatalf("a second plan is not empty:\n%s", diff)
		}
		for _, a := range want.Addresses {
			if !have.hasPermanent(a) {
				r.Fatalf("%s is missing", a)
			}
		}
		carryOut(&have, State{}, Diff(State{}, have))
		if diff := cmp.Diff(before, have.Sysctls); diff != "" {
			r.Fatalf("sysctls differ from the original ones:\n%s", diff)
		}
		if !have.hasPermanent(foreign) || slices.ContainsFunc(want.Addresses, have.hasPermanent) || len(have.OwnSysctls) != 0 {
			r.Fatalf("after undoing: %v, recorded %v", have.Addresses, have.OwnSysctls)
		}
	})
}

// carryOut applies a plan to a kernel and a state file that never fail.
func carryOut(f *Found, want State, p Plan) {
	for _, a := range want.Addresses {
		if !slices.Contains(f.OwnAddresses, a) {
			f.OwnAddresses = append(f.OwnAddresses, a)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want.Sysctls)) {
		if value, exists := f.Sysctls[key]; exists {
			f.OwnSysctls = append(f.OwnSysctls, statefile.Sysctl{Key: key, Found: value, Wrote: want.Sysctls[key]})
		}
	}
	forget := p.Sysctls.Forget
	for _, c := range p.Sysctls.Set {
		f.Sysctls[c.Key] = c.To
	}
	for _, c := range p.Sysctls.Restore {
		f.Sysctls[c.Key] = c.To
		forget = append(forget, c.Key)
	}
	f.OwnSysctls = slices.DeleteFunc(f.OwnSysctls, func(s statefile.Sysctl) bool { return slices.Contains(forget, s.Key) })
	for _, a := range p.Put {
		f.Addresses = append(f.Addresses, there(a, 0))
	}
	for _, a := range p.Remove {
		f.Addresses = slices.DeleteFunc(f.Addresses, func(b addr.Address) bool { return b.Interface == a.Interface && b.Prefix == a.Prefix })
		f.OwnAddresses = slices.DeleteFunc(f.OwnAddresses, func(b kernel.IfAddr) bool { return a == b })
	}
	f.Links = slices.Clone(f.Links)
	for i := range f.Links {
		if slices.Contains(p.Up, f.Links[i].Name) {
			f.Links[i].Up = true
		}
	}
}
