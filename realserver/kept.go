package realserver

import (
	"slices"
	"time"
)

// kept is the history of one thing that the agent keeps right: an address, a sysctl, an interface that is up.
type kept struct {
	repairs int
	logged  time.Time // the last repair that was logged
}

// done notes that something was put right. The first time is the set-up; from then on it is a repair, logged with the
// number of repairs and not more often than once in repeatLog.
func (a *Agent) done(name, first, again string, attributes ...any) {
	k, known := a.kept[name]
	if !known {
		a.kept[name] = &kept{}
		a.o.Log.Info(first, attributes...)
		return
	}
	k.repairs++
	if now := time.Now(); k.logged.IsZero() || now.Sub(k.logged) >= repeatLog {
		k.logged = now
		a.o.Log.Warn(again, append(attributes, "repairs", k.repairs)...)
	}
}

// forgetUnwanted drops the history of what is no longer kept, and begins that of what is found right: from then on, to
// put it right is a repair. An interface that comes back is a new one.
func (a *Agent) forgetUnwanted(want State, have Found) {
	right := map[string]bool{}
	for _, w := range want.Addresses {
		if have.hasLink(w.Interface) {
			right[w.String()] = have.holds(w)
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

// told is a problem that was logged.
type told struct {
	at   time.Time
	over bool
}

// tell logs the problems that are new and those that are over; one that comes and goes at most once in repeatLog.
func (a *Agent) tell(problems []string) {
	for _, p := range problems {
		if t, known := a.told[p]; known {
			t.over = false
			continue
		}
		a.o.Log.Warn(p)
		a.told[p] = &told{at: time.Now()}
	}
	for p, t := range a.told {
		switch {
		case slices.Contains(problems, p):
		case time.Since(t.at) >= repeatLog:
			delete(a.told, p)
		case !t.over && a.cfg != nil: // on the way out nothing is over, it is only not looked at any more
			t.over = true
			a.o.Log.Info("over: " + p)
		}
	}
}
