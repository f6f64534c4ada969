package notify

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lvs-director/lvs-director/pkg/config"
)

type failureOf struct {
	id   ID
	hook config.Hook
}

// finished takes in how the last run of a hook ended. It needs the lock.
func (n *Notifier) finished(id ID, j Job, ok bool, text string) {
	of := failureOf{id, j.Hook}
	_, failed := n.failures[of]
	l := n.lines[id]
	switch {
	case ok && failed:
		delete(n.failures, of)
	case !ok && l != nil && !l.removed && slices.Contains(l.subject.Hooks, j.Hook):
		f := Failure{kind: j.Subject.Type, Subject: j.Subject.label(), Name: j.Subject.Name, Hook: j.Hook, Text: string(j.Change.Moment) + ": " + text}
		n.failures[of] = f
	default:
		return
	}
	n.o.Changed()
}

// Acknowledge forgets which hooks have failed, and tries all again.
func (n *Notifier) Acknowledge() {
	n.mu.Lock()
	clear(n.failures)
	n.mu.Unlock()
	poke(n.try)
	n.o.Changed()
}

// Failures returns the hooks whose last run failed, and those that could not be run now, in no order. Those that could not be run for one cause
// are one Failure, and so are those of real servers that run one program, ask one host, or send a mail to one address, and likewise those of virtual
// servers: thousands may fail at once.
func (n *Notifier) Failures() []Failure {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append(n.uselessHooks(), n.failedHooks()...)
}

// failedHooks are those whose last run failed. It needs the lock.
func (n *Notifier) failedHooks() []Failure {
	type alike struct{ of, label string }
	type found struct {
		first    Failure
		subjects map[ID]bool
	}
	var all []Failure
	folded := map[alike]*found{}
	for of, f := range n.failures {
		if f.kind != RealServer && f.kind != VirtualServer {
			all = append(all, f)
			continue
		}
		key := alike{f.kind, of.hook.Label()}
		is := folded[key]
		if is == nil {
			is = &found{f, map[ID]bool{}}
			folded[key] = is
		}
		if is.subjects[of.id] = true; cmp.Or(cmp.Compare(f.Name, is.first.Name), cmp.Compare(f.Text, is.first.Text)) < 0 {
			is.first = f
		}
	}
	for key, is := range folded {
		f := is.first
		f.Name = map[string]string{RealServer: "real servers", VirtualServer: "virtual servers"}[key.of]
		if more := len(is.subjects) - 1; more > 0 {
			f.Subject += " and " + others(more)
		}
		all = append(all, f)
	}
	return all
}

// uselessHooks are those that could not be run and have not failed. It needs the lock.
func (n *Notifier) uselessHooks() []Failure {
	if len(n.useless) == 0 {
		return nil
	}
	type found struct {
		first Subject
		hook  config.Hook
		more  int
	}
	all := map[trial]*found{}
	for id, l := range n.lines {
		counted := map[trial]bool{} // a subject counts once
		for _, h := range l.subject.Hooks {
			t := trialOf(h)
			_, useless := n.useless[t]
			_, failed := n.failures[failureOf{id, h}]
			switch f := all[t]; {
			case !useless || failed || l.removed || counted[t]:
				continue
			case f == nil:
				all[t] = &found{first: l.subject, hook: h}
			case earlier(l.subject, f.first):
				f.first, f.hook, f.more = l.subject, h, f.more+1
			default:
				f.more++
			}
			counted[t] = true
		}
	}
	var failures []Failure
	for t, f := range all {
		subject := f.first.label()
		if f.more > 0 {
			subject += " and " + others(f.more)
		}
		failures = append(failures, Failure{Subject: subject, Name: f.first.Name, Hook: f.hook, Text: f.hook.Label() + " would fail: " + n.useless[t]})
	}
	return failures
}

// earlier is the order of subjects that one message is about: by their types, then by name.
func earlier(a, b Subject) bool {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) < 0
}

func others(count int) string {
	if count == 1 {
		return "1 other"
	}
	return fmt.Sprintf("%d others", count)
}
