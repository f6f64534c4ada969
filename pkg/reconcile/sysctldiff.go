package reconcile

import (
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// SysctlChange is the change of one parameter's value.
type SysctlChange struct {
	Key      string
	From, To string
}

// SysctlPlan is the difference between the desired and the actual parameters.
type SysctlPlan struct {
	Set     []SysctlChange // parameters to set
	Restore []SysctlChange // parameters to restore to the recorded value, in this order
	// Forget are recorded parameters with nothing to restore: the interface is gone, the value never differed, or another
	// process has changed it since. The latter are in Foreign too.
	Forget  []string
	Foreign []SysctlChange // From is our value, To the current one
}

// DiffSysctls compares desired, actual and recorded parameters. A key that is not in have does not exist.
func DiffSysctls(want, have map[string]string, recorded []statefile.Sysctl) SysctlPlan {
	var p SysctlPlan
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if value, exists := have[key]; exists && value != want[key] {
			p.Set = append(p.Set, SysctlChange{Key: key, From: value, To: want[key]})
		}
	}
	for _, r := range recorded {
		if _, wanted := want[r.Key]; !wanted && impliedBy(r.Key) == "" {
			p.planRestore(r, have)
		}
	}
	p.restoreImplied(want, have, recorded)
	return p
}

// planRestore plans the restoration of a parameter that is no longer wanted. It is restored only if it still has our
// value.
func (p *SysctlPlan) planRestore(r statefile.Sysctl, have map[string]string) {
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
