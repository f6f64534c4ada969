package realserver

import (
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// kept is the repair history of one item that the agent maintains: an address, a sysctl, or an interface that is up.
type kept struct {
	repairs int
	logged  time.Time // when a repair was last logged
}

// done records that an item was set. The first time is the set-up; every later one is a repair, which is logged with
// the number of repairs, at most once per logInterval.
func (a *Agent) done(name, first, again string, attributes ...any) {
	k, known := a.kept[name]
	if !known {
		a.kept[name] = &kept{}
		a.o.Log.Info(first, attributes...)
		return
	}
	k.repairs++
	if now := time.Now(); k.logged.IsZero() || now.Sub(k.logged) >= logInterval {
		k.logged = now
		a.o.Log.Warn(again, append(attributes, "repairs", k.repairs)...)
	}
}

// forgetUnwanted removes the history of items that are no longer maintained, and starts that of items that are already
// in the desired state: any later change to them is a repair. An interface that returns counts as new.
func (a *Agent) forgetUnwanted(want State, have Found) {
	right := map[string]bool{}
	for _, w := range want.Addresses {
		if have.hasLink(w.Interface) {
			right[w.String()] = have.hasPermanent(w)
		}
	}
	for _, name := range want.Up {
		if have.hasLink(name) {
			right[name] = have.isUp(name)
		}
	}
	for key, value := range want.Sysctls {
		if found, exists := have.Sysctls[key]; exists {
			right[key] = found == value
		}
	}
	for name := range a.kept {
		if _, wanted := right[name]; !wanted {
			delete(a.kept, name)
		}
	}
	for name, ok := range right {
		if _, known := a.kept[name]; ok && !known {
			a.kept[name] = &kept{}
		}
	}
}

func (a *Agent) repairs(name string) int {
	if k := a.kept[name]; k != nil {
		return k.repairs
	}
	return 0
}

// loggedProblem is a logged problem.
type loggedProblem struct {
	at   time.Time
	over bool
}

// logProblems logs new problems and those that are over; a flapping problem is logged at most once per logInterval.
// CRITICAL ones are errors.
func (a *Agent) logProblems(found []problem.Finding) {
	problems := make([]string, len(found))
	for i, f := range found {
		p := f.Text
		problems[i] = p
		if t, known := a.loggedProblems[p]; known {
			t.over = false
			continue
		}
		if a.changes.codes.Severity(f.Code) == problem.Critical {
			a.o.Log.Error(p)
		} else {
			a.o.Log.Warn(p)
		}
		a.loggedProblems[p] = &loggedProblem{at: time.Now()}
	}
	for p, t := range a.loggedProblems {
		switch {
		case slices.Contains(problems, p):
		case time.Since(t.at) >= logInterval:
			delete(a.loggedProblems, p)
		case !t.over && a.cfg != nil: // during shutdown a problem that is no longer checked is not over
			t.over = true
			a.o.Log.Info("over: " + p)
		}
	}
}
