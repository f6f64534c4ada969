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
	// Warning is what will become critical, or what somebody has to look at.
	Warning Severity = "WARNING"
	// Critical is that clients are not served, or will not be after the next failover.
	Critical Severity = "CRITICAL"
)

// Finding is one problem as it is found.
type Finding struct {
	Code    Code
	Subject string // what has it, by the cluster file's name; "" for the node as a whole
	Text    string // a sentence for people, which names the subject
	Remedy  string // what to do; "" for what the declaration of the code says
	// Related are other subjects whose problems may explain this one: of an interface the instances on it.
	Related []string
}

// Problem is one problem as it is reported: an element of problem_details in a status document.
type Problem struct {
	Code     Code      `json:"code"`
	Severity Severity  `json:"severity"`
	Subject  string    `json:"subject"`
	Text     string    `json:"text"`
	Remedy   string    `json:"remedy"`
	Since    time.Time `json:"since"` // when it was first seen
}

// Registry is a set of declarations. Make one with Declared or Of.
type Registry struct {
	all    []Declaration
	byCode map[Code]Declaration
}

// Of makes a Registry. Of two declarations of a code the last counts.
func Of(all ...Declaration) Registry {
	r := Registry{all: all, byCode: make(map[Code]Declaration, len(all))}
	for _, d := range all {
		r.byCode[d.Code] = d
	}
	return r
}

// Severity is that of a code. One that is not declared is critical: nobody has said that it is not.
func (r Registry) Severity(code Code) Severity {
	if d, declared := r.byCode[code]; declared {
		return d.Severity
	}
	return Critical
}

// Report makes of what was found what is to be reported: without those problems that another one explains, critical ones
// first, else in the order in which they were found. What is found twice is one problem with both texts. Since is zero.
func (r Registry) Report(found []Finding) []Problem {
	all := make([]Problem, 0, len(found))
	at, texts := map[identity]int{}, map[identity][]string{}
	for _, f := range found {
		if r.explained(f, found) {
			continue
		}
		if i, twice := at[f.identity()]; twice {
			if !slices.Contains(texts[f.identity()], f.Text) {
				texts[f.identity()] = append(texts[f.identity()], f.Text)
				all[i].Text += "; " + f.Text
			}
			continue
		}
		texts[f.identity()] = []string{f.Text}
		at[f.identity()] = len(all)
		all = append(all, Problem{
			Code: f.Code, Severity: r.Severity(f.Code), Subject: f.Subject, Text: f.Text, Remedy: cmp.Or(f.Remedy, r.byCode[f.Code].Remedy),
		})
	}
	slices.SortStableFunc(all, func(a, b Problem) int { return rank(a.Severity) - rank(b.Severity) })
	return all
}

func rank(s Severity) int {
	if s == Critical {
		return 0
	}
	return 1
}

// explained says whether another problem explains this one: that of a code that the declaration names, and of the same
// subject, of a related one, or of the node as a whole.
func (r Registry) explained(f Finding, found []Finding) bool {
	by := r.byCode[f.Code].ExplainedBy
	if len(by) == 0 {
		return false
	}
	return slices.ContainsFunc(found, func(other Finding) bool {
		return slices.Contains(by, other.Code) &&
			(other.Subject == f.Subject || other.Subject == "" || slices.Contains(f.Related, other.Subject))
	})
}

type identity struct {
	code    Code
	subject string
}

func (f Finding) identity() identity { return identity{f.Code, f.Subject} }
func (p Problem) identity() identity { return identity{p.Code, p.Subject} }

// History remembers since when there is which problem. The zero value is ready. It belongs to one goroutine at a time.
type History struct {
	now map[identity]entry
}

type entry struct {
	Problem
	told bool
}

// Look enters what a look has found into the history, and fills in Since. With tell it returns what is new, and what was
// returned as new before and is over; without, what is new is left for a later look.
func (h *History) Look(at time.Time, problems []Problem, tell bool) (raised, cleared []Problem) {
	now := make(map[identity]entry, len(problems))
	for i, p := range problems {
		e := h.now[p.identity()]
		if e.Since.IsZero() {
			e.Since = at.Round(0)
		}
		problems[i].Since = e.Since
		e.Problem = problems[i]
		if tell && !e.told {
			e.told = true
			raised = append(raised, e.Problem)
		}
		now[p.identity()] = e
	}
	for id, e := range h.now {
		if _, still := now[id]; !still && e.told && tell {
			cleared = append(cleared, e.Problem)
		}
	}
	slices.SortFunc(cleared, func(a, b Problem) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject))
	})
	h.now = now
	return raised, cleared
}

// Events are what tells of problems that were raised or cleared; the latter come first.
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
