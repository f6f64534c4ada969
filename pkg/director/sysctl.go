package director

import (
	"log/slog"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

// newSysctls returns the sysctl loop. Settings of a missing interface are applied when it appears.
func newSysctls(k reconcile.SysctlKernel, state *stateFile, log *slog.Logger) *reconcile.Sysctls {
	tell := func(c reconcile.SysctlChange) { log.Info("sysctl", "key", c.Key, "from", c.From, "to", c.To) }
	return reconcile.NewSysctls(reconcile.SysctlOptions{
		Kernel: k, StateFile: state, ConfKey: plan.ConfKey, Saved: state.saved, OnSet: tell, OnRestore: tell, Log: log,
		// A kernel without connection tracking in IPVS is reported as lacking that; see plan.Needs.
		Optional: func(key string) bool { return strings.HasPrefix(key, plan.OfInterface) || key == plan.TrackedKey },
	})
}
