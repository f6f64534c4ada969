package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/keepalived"
)

// Verdict is what became of a line. Larger ones are of more concern.
type Verdict uint8

// The verdicts.
const (
	Empty      Verdict = iota // a blank line or a comment
	Translated                // it is in the cluster file, or needs no key there
	NoEffect                  // keepalived does nothing with it either
	Changed                   // the cluster file does it differently, on purpose
	Refused                   // it is not in the cluster file: somebody must decide
)

// String returns the verdict in words.
func (v Verdict) String() string {
	return [...]string{"empty", "translated", "no effect", "changed", "refused"}[v]
}

// Line is the verdict on a line of a source file.
type Line struct {
	At      keepalived.Position
	Verdict Verdict
	Reason  string // for Translated it may be ""
	Text    string // the line
}

// String returns file:line:column: verdict: text: reason.
func (l Line) String() string {
	text := fmt.Sprintf("%s: %s: %s", l.At, l.Verdict, strings.ToValidUTF8(strings.TrimSpace(l.Text), "?"))
	if l.Reason != "" {
		text += ": " + l.Reason
	}
	return text
}

// maxReason is the length of the reasons of a line, in bytes, from which on further ones are left out.
const maxReason = 400

// judgement is a verdict on a statement.
type judgement struct {
	verdict Verdict
	reasons []string
}

// judge adds a verdict on a statement; the worst one counts.
func (r *reader) judge(s *keepalived.Statement, v Verdict, format string, args ...any) {
	j := r.verdicts[s]
	reason := fmt.Sprintf(format, args...)
	switch {
	case v > j.verdict:
		j = judgement{verdict: v}
	case v < j.verdict:
		return
	}
	if reason != "" && len(j.reasons) < 4 && !slices.Contains(j.reasons, reason) {
		j.reasons = append(j.reasons, reason)
	}
	r.verdicts[s] = j
}

// judgeAll gives a verdict on a statement and everything in it.
func (r *reader) judgeAll(s *keepalived.Statement, v Verdict, format string, args ...any) {
	r.judge(s, v, format, args...)
	for _, inner := range s.Block {
		if j := r.verdicts[inner]; j.verdict < v || len(j.reasons) == 0 {
			r.judgeAll(inner, v, "it is in the block of line %d", s.At().Line)
		}
	}
}

// lines returns the verdict on each line of the source.
func (r *reader) lines() []Line {
	type place struct {
		file string
		line int
	}
	found := map[place]Line{}
	add := func(at keepalived.Position, v Verdict, reason string) {
		key := place{at.File, at.Line}
		l, known := found[key]
		switch {
		case !known || v > l.Verdict:
			found[key] = Line{At: at, Verdict: v, Reason: reason}
		case v == l.Verdict && reason != "" && len(l.Reason) < maxReason && !strings.Contains(l.Reason, reason):
			l.Reason = strings.TrimPrefix(l.Reason+"; "+reason, "; ")
			found[key] = l
		}
	}
	var walk func(all []*keepalived.Statement)
	walk = func(all []*keepalived.Statement) {
		for _, s := range all {
			j := r.verdicts[s]
			add(s.At(), max(j.verdict, Translated), strings.Join(j.reasons, "; "))
			if s.IsBlock {
				add(s.End, Translated, "")
			}
			walk(s.Block)
		}
	}
	walk(r.tree.Statements)
	for _, p := range r.tree.Problems {
		v := Refused
		if p.AsMeant {
			v = Changed
		}
		add(p.At, v, strings.TrimSuffix(p.Message+" ("+p.Hint+")", " ()"))
	}
	var all []Line
	for _, source := range r.tree.Lines {
		l, known := found[place{source.At.File, source.At.Line}]
		if !known {
			l = Line{At: source.At}
			l.Verdict, l.Reason = kindVerdict(source)
		}
		l.Text = source.Text
		all = append(all, l)
	}
	return all
}

// kindVerdict is the verdict on a line without statements.
func kindVerdict(l keepalived.Line) (Verdict, string) {
	bare := strings.Trim(l.Text, " \t{}\\")
	switch {
	case l.Kind == keepalived.Blank:
		return Empty, ""
	case l.Kind == keepalived.Unreachable && (strings.TrimSpace(l.Text) == "" || bare != "" && strings.ContainsAny(bare[:1], "#!")):
		return Empty, ""
	case l.Kind == keepalived.Unreachable:
		return Refused, "it could not be read, because of what comes before"
	case l.Kind == keepalived.OtherHost:
		return NoEffect, "it is for another host"
	case l.Kind == keepalived.Definition, l.Kind == keepalived.Include:
		return Translated, ""
	case bare == "" || strings.ContainsAny(bare[:1], "#!~$@"):
		return Translated, ""
	}
	return NoEffect, "it is in a definition that is not used"
}
