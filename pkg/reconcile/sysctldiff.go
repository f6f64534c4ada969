package reconcile

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// SysctlChange is a parameter's way from one value to another.
type SysctlChange struct {
	Key      string
	From, To string
}

// SysctlPlan is what has to be done to parameters.
type SysctlPlan struct {
	Set     []SysctlChange // those that are to be different
	Restore []SysctlChange // to give back
	// Forget are recorded ones with nothing to give back: the interface is gone, the value never differed, or somebody
	// else has changed it since. The latter are in Foreign too.
	Forget  []string
	Foreign []SysctlChange // From is ours, To is what stands there
}

// DiffSysctls compares. A key that is not in have does not exist.
func DiffSysctls(want, have map[string]string, recorded []statefile.Sysctl) SysctlPlan {
	var p SysctlPlan
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, exists := have[key]; exists && value != want[key] {
			p.Set = append(p.Set, SysctlChange{Key: key, From: value, To: want[key]})
		}
	}
	for _, r := range recorded {
		if _, wanted := want[r.Key]; !wanted {
			p.giveBack(r, have)
		}
	}
	return p
}

// giveBack plans the way out for a parameter that is no longer wanted: only what still has our value is ours to change.
func (p *SysctlPlan) giveBack(r statefile.Sysctl, have map[string]string) {
	value, exists := have[r.Key]
	switch {
	case exists && value == r.Wrote && value != r.Found:
		p.Restore = append(p.Restore, SysctlChange{Key: r.Key, From: value, To: r.Found})
		return
	case exists && value != r.Wrote && value != r.Found:
		p.Foreign = append(p.Foreign, SysctlChange{Key: r.Key, From: r.Wrote, To: value})
	}
	p.Forget = append(p.Forget, r.Key)
}
