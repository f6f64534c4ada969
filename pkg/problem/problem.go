package problem

import (
	"cmp"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// Code names a kind of problem for scripts. A code keeps its meaning and is never renamed.
type Code string

// Severity is how bad a problem is, in the words of monitoring plugins.
type Severity string

const (
	// Warning: it may become critical, or the operator must investigate it.
	Warning Severity = "WARNING"
	// Critical: clients are not served, or will not be after the next failover.
	Critical Severity = "CRITICAL"
)

// Finding is a problem as detected.
type Finding struct {
	Code    Code
	Subject string // what has it, by the cluster file's name; "" for the node as a whole
	Text    string // plain text that names the subject
	Remedy  string // what to do; "" means the remedy of the declaration
	// Related are other subjects, whose problems may explain this one or be explained by it, such as the instances on an
	// interface.
	Related []string
	// Unready: as in Declaration, for this finding alone.
	Unready bool
	// Fix are the settings that end it; nil: there are none that are safe.
	Fix []Setting
}

// Setting is a kernel parameter in the notation of sysctl(8), below net, and its value. As the Fix of a problem it cuts no
// connection, opens no way into the machine, and leaves nothing to decide.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Problem is a problem as reported: an element of problem_details in a status document.
type Problem struct {
	Code     Code      `json:"code"`
	Severity Severity  `json:"severity"`
	Subject  string    `json:"subject"`
	Text     string    `json:"text"`
	Remedy   string    `json:"remedy"`
	Since    time.Time `json:"since"` // when it was first detected
	// Unready: with it, or with one that it explains, the daemon does not do what its cluster file says, whatever its peers
	// and servers do.
	Unready bool `json:"unready,omitempty"`
	// Fix are the settings that end it, until the next boot at the latest.
	Fix []Setting `json:"fix,omitempty"`
}

// Registry is a set of declarations, created by Declared or Of.
type Registry struct {
	all    []Declaration
	byCode map[Code]Declaration
}

// Of creates a Registry. If a code is declared twice, the last declaration is used.
func Of(all ...Declaration) Registry {
	r := Registry{all: all, byCode: make(map[Code]Declaration, len(all))}
	for _, d := range all {
		r.byCode[d.Code] = d
	}
	return r
}

// All returns the declarations, in their order.
func (r Registry) All() []Declaration { return slices.Clone(r.all) }

// Severity returns the severity of a code. An undeclared code is critical.
func (r Registry) Severity(code Code) Severity {
	if d, declared := r.byCode[code]; declared {
		return d.Severity
	}
	return Critical
}

// Unready reports whether a daemon that reports this code is not ready; see Declaration. Unknown codes do not count.
func (r Registry) Unready(code Code) bool { return r.byCode[code].Unready }

// Report returns the problems to report: without those that another one explains, critical ones first, otherwise in the
// order of the findings. Duplicates become one problem with all texts. Since is zero.
func (r Registry) Report(found []Finding) []Problem {
	all, hidden := make([]Problem, 0, len(found)), []Finding(nil) // hidden: unready, and explained by others
	at, texts, in := map[identity]int{}, map[identity][]string{}, indexOf(found)
	for _, f := range found {
		unready := f.Unready || r.byCode[f.Code].Unready
		if r.explained(f, in) {
			if unready {
				hidden = append(hidden, f)
			}
			continue
		}
		if i, twice := at[f.identity()]; twice {
			all[i].Unready = all[i].Unready || unready
			all[i].fixedBy(f.Fix)
			if !slices.Contains(texts[f.identity()], f.Text) {
				texts[f.identity()] = append(texts[f.identity()], f.Text)
				all[i].Text += "; " + f.Text
			}
			continue
		}
		texts[f.identity()] = []string{f.Text}
		at[f.identity()] = len(all)
		all = append(all, Problem{
			Code: f.Code, Severity: r.Severity(f.Code), Subject: f.Subject, Text: f.Text, Remedy: cmp.Or(f.Remedy, r.byCode[f.Code].Remedy), Unready: unready,
		})
		all[len(all)-1].fixedBy(f.Fix)
	}
	for i := range all {
		all[i].Unready = all[i].Unready || slices.ContainsFunc(hidden, func(f Finding) bool { return r.explains(all[i], f, in) })
	}
	slices.SortStableFunc(all, func(a, b Problem) int { return rank(a.Severity) - rank(b.Severity) })
	return all
}

// fixedBy adds settings that are not known yet.
func (p *Problem) fixedBy(fix []Setting) {
	for _, one := range fix {
		if !slices.Contains(p.Fix, one) {
			p.Fix = append(p.Fix, one)
		}
	}
}

func rank(s Severity) int {
	if s == Critical {
		return 0
	}
	return 1
}

// explained reports whether another problem explains this one: it has a code in ExplainedBy, and its subject is the
// same, a related one or the whole node.
func (r Registry) explained(f Finding, in index) bool {
	for _, code := range r.byCode[f.Code].ExplainedBy {
		if own := (identity{code, f.Subject}); in.subjects[own] || in.related[own] || in.subjects[identity{code, ""}] {
			return true
		}
		if slices.ContainsFunc(f.Related, func(subject string) bool { return in.subjects[identity{code, subject}] }) {
			return true
		}
	}
	return false
}

// explains reports whether p is one of the problems that explain f.
func (r Registry) explains(p Problem, f Finding, in index) bool {
	return slices.Contains(r.byCode[f.Code].ExplainedBy, p.Code) &&
		(p.Subject == f.Subject || p.Subject == "" || in.related[identity{p.Code, f.Subject}] || slices.Contains(f.Related, p.Subject))
}

// index finds problems by code and subject; a director may have ten thousand.
type index struct{ subjects, related map[identity]bool }

func indexOf(found []Finding) index {
	in := index{make(map[identity]bool, len(found)), map[identity]bool{}}
	for _, f := range found {
		in.subjects[f.identity()] = true
		for _, subject := range f.Related {
			in.related[identity{f.Code, subject}] = true
		}
	}
	return in
}

type identity struct {
	code    Code
	subject string
}

func (f Finding) identity() identity { return identity{f.Code, f.Subject} }
func (p Problem) identity() identity { return identity{p.Code, p.Subject} }

// History records the start times of problems. The zero value is ready to use. It must be used by one goroutine at a
// time.
type History struct {
	now map[identity]entry
}

type entry struct {
	Problem
	began  time.Time // with the monotonic clock
	raised bool
}

// Rename gives subjects another name, by their old one: a problem of a subject that has been renamed has not ended.
func (h *History) Rename(to map[string]string) {
	now := make(map[identity]entry, len(h.now))
	for id, e := range h.now {
		if name, renamed := to[id.subject]; renamed {
			id.subject, e.Subject = name, name
		}
		now[id] = e
	}
	h.now = now
}

// Look updates the history with the current problems and sets their Since. With tell it returns new problems, and those
// that were returned as new before and have ended; without tell, new problems are left for a later call.
func (h *History) Look(at time.Time, problems []Problem, tell bool) (raised, cleared []Problem) {
	now := make(map[identity]entry, len(problems))
	for i, p := range problems {
		e := h.now[p.identity()]
		if e.began.IsZero() {
			e.began = at
		}
		problems[i].Since = event.Wall(e.began, at)
		e.Problem = problems[i]
		if tell && !e.raised {
			e.raised = true
			raised = append(raised, e.Problem)
		}
		now[p.identity()] = e
	}
	for id, e := range h.now {
		if _, still := now[id]; !still && e.raised && tell {
			cleared = append(cleared, e.Problem)
		}
	}
	slices.SortFunc(cleared, func(a, b Problem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject))
	})
	h.now = now
	return raised, cleared
}

// Events returns the events for cleared and raised problems, in this order.
func Events(raised, cleared []Problem) []event.Event {
	all := make([]event.Event, 0, len(raised)+len(cleared))
	for _, p := range cleared {
		all = append(all, event.Event{Kind: event.ProblemCleared, Subject: p.Subject, From: string(p.Severity), Code: string(p.Code), Reason: p.Text})
	}
	for _, p := range raised {
		all = append(all, event.Event{Kind: event.ProblemRaised, Subject: p.Subject, To: string(p.Severity), Code: string(p.Code), Reason: p.Text})
	}
	return all
}
