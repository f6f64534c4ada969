package notify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// foldAbove is how many virtual servers whose hooks fail alike are problems of their own: the quorum_down of one, which
// withdraws a route, must be seen although that of another has failed before.
const foldAbove = 10

type failureOf struct {
	id   ID
	hook config.Hook
}

// finished takes in how the last run of a hook ended. It needs the lock.
func (n *Notifier) finished(id ID, j Job, ok bool, text string) {
	l := n.lines[id]
	if l == nil || l.removed {
		return
	}
	h, found := l.subject.now(j.Hook, j.Change.Moment) // a reload may have changed its time limit while it ran
	if !found {
		return
	}
	of := failureOf{id, h}
	_, failed := n.failures[of]
	switch {
	case ok && failed:
		delete(n.failures, of)
	case !ok:
		n.failures[of] = &Failure{
			Subject: labelOf(j.Subject.Type, j.Subject.Name), Name: j.Subject.Name, Hook: h, Text: string(j.Change.Moment) + ": " + text,
			id: id, kind: j.Subject.Type, label: h.Label(),
		}
	default:
		return
	}
	n.o.Changed()
}

// forget removes the failures of hooks that a subject no longer has. It needs the lock.
func (n *Notifier) forget(id ID, before, now []config.Hook) {
	count := len(n.failures)
	for _, h := range before {
		if !slices.Contains(now, h) {
			delete(n.failures, failureOf{id, h})
		}
	}
	if len(n.failures) != count {
		n.o.Changed()
	}
}

// Acknowledge forgets which hooks have failed, and tries all again.
func (n *Notifier) Acknowledge() {
	n.mu.Lock()
	clear(n.failures)
	n.mu.Unlock()
	poke(n.try)
	n.o.Changed()
}

// Failures returns the hooks whose last run failed, and those that could not be run now, in no order. Those that could not
// be run for one cause are one Failure, and so are those of real servers that run one program, ask one host and port, or
// send a mail to one first address, and likewise those of more than foldAbove virtual servers: thousands may fail at once.
// It holds the lock, for which elections wait, only to copy.
func (n *Notifier) Failures() []Failure {
	var all []owner
	n.mu.Lock()
	failed := slices.AppendSeq(make([]*Failure, 0, len(n.failures)), maps.Values(n.failures))
	useless := n.useless
	if len(useless) > 0 {
		all = n.owners()
	}
	n.mu.Unlock()
	return append(uselessHooks(useless, all, failed), fold(failed)...)
}

// owner is a subject that is not removed.
type owner struct {
	id         ID
	kind, name string
	hooks      []config.Hook
}

// owners needs the lock.
func (n *Notifier) owners() []owner {
	all := make([]owner, 0, len(n.lines))
	for id, l := range n.lines {
		if !l.removed {
			all = append(all, owner{id, l.subject.Type, l.subject.Name, l.subject.Hooks})
		}
	}
	return all
}

// fold makes one failure of those that are alike. They are not changed.
func fold(failed []*Failure) []Failure {
	type alike struct{ of, label string }
	type found struct {
		all      []*Failure
		subjects map[ID]bool
	}
	var all []Failure
	folded := map[alike]*found{}
	for _, f := range failed {
		if f.kind != RealServer && f.kind != VirtualServer {
			all = append(all, *f)
			continue
		}
		key := alike{f.kind, f.label}
		is := folded[key]
		if is == nil {
			is = &found{subjects: map[ID]bool{}}
			folded[key] = is
		}
		is.all = append(is.all, f)
		is.subjects[f.id] = true
	}
	for key, is := range folded {
		if key.of == VirtualServer && len(is.subjects) <= foldAbove {
			for _, f := range is.all {
				all = append(all, *f)
			}
			continue
		}
		f := *slices.MinFunc(is.all, func(a, b *Failure) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Text, b.Text)) })
		f.Name = map[string]string{RealServer: "real servers", VirtualServer: "virtual servers"}[key.of]
		if more := len(is.subjects) - 1; more > 0 {
			f.Subject += " and " + others(more)
		}
		all = append(all, f)
	}
	return all
}

// uselessHooks are those that could not be run, and have not failed.
func uselessHooks(useless map[trial]string, subjects []owner, failed []*Failure) []Failure {
	type found struct {
		first owner
		hook  config.Hook
		more  int
	}
	known := make(map[failureOf]bool, len(failed))
	for _, f := range failed {
		known[failureOf{f.id, f.Hook}] = true
	}
	all := map[trial]*found{}
	for _, s := range subjects {
		counted := map[trial]bool{} // a subject counts once
		for _, h := range s.hooks {
			t := trialOf(h)
			_, fails := useless[t]
			if !fails || counted[t] || known[failureOf{s.id, h}] {
				continue
			}
			counted[t] = true
			switch f := all[t]; {
			case f == nil:
				all[t] = &found{first: s, hook: h}
			case earlier(s, f.first):
				f.first, f.hook, f.more = s, h, f.more+1
			default:
				f.more++
			}
		}
	}
	var failures []Failure
	for t, f := range all {
		subject := labelOf(f.first.kind, f.first.name)
		if f.more > 0 {
			subject += " and " + others(f.more)
		}
		failures = append(failures, Failure{Subject: subject, Name: f.first.name, Hook: f.hook, Text: f.hook.Label() + " would fail: " + useless[t]})
	}
	return failures
}

// earlier is the order of subjects that one message is about: by their types, then by name.
func earlier(a, b owner) bool {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name)) < 0
}

func others(count int) string {
	if count == 1 {
		return "1 other"
	}
	return fmt.Sprintf("%d others", count)
}
