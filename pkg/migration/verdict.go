package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// Verdict is what became of a line. Larger ones are of more concern.
type Verdict uint8

// The verdicts.
const (
	Empty      Verdict = iota // a blank line or a comment
	Translated                // it is in the cluster file, or needs no key there
	NoEffect                  // the program of the source does nothing with it either
	Changed                   // the cluster file does it differently, on purpose
	Refused                   // it is not in the cluster file: somebody must decide
)

// String returns the verdict in words.
func (v Verdict) String() string {
	return [...]string{"empty", "translated", "no effect", "changed", "refused"}[v]
}

// Line is the verdict on a line of a source file.
type Line struct {
	At      conftree.Position
	Verdict Verdict
	Reason  string // for Translated it may be ""
	Text    string // the line
	// secret: it is part of a definition with a password, although no word says so
	secret bool
}

// String returns file:line:column: verdict: text: reason. A password is left out.
func (l Line) String() string {
	source, reason := redact(strings.TrimSpace(l.Text), l.Reason)
	if l.secret {
		name, _, _ := strings.Cut(source, "=")
		source = name + "=…"
		if !strings.HasPrefix(name, "$") {
			source = "…"
		}
	}
	text := fmt.Sprintf("%s: %s: %s", l.At, l.Verdict, strings.ToValidUTF8(source, "?"))
	if reason != "" {
		text += ": " + reason
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
func (r *reader) judge(s *conftree.Statement, v Verdict, format string, args ...any) {
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
func (r *reader) judgeAll(s *conftree.Statement, v Verdict, format string, args ...any) {
	r.judge(s, v, format, args...)
	for _, inner := range s.Block {
		if j := r.verdicts[inner]; j.verdict < v || len(j.reasons) == 0 {
			if inner.At().Line == s.At().Line {
				r.judgeAll(inner, v, format, args...)
				continue
			}
			r.judgeAll(inner, v, "it is in the block of line %d", s.At().Line)
		}
	}
}

// reject refuses a statement and everything in it. If something in it is refused already, that is the reason.
func (r *reader) reject(s *conftree.Statement, format string, args ...any) {
	for _, inner := range s.Block {
		if r.verdicts[inner].verdict == Refused {
			r.judge(s, Refused, "")
			return
		}
	}
	r.judgeAll(s, Refused, format, args...)
}

// lines returns the verdict on each line of the source.
func (r *reader) lines() []Line {
	type place struct {
		file string
		line int
	}
	found := map[place]Line{}
	add := func(at conftree.Position, v Verdict, reason string) {
		key := place{at.File, at.Line}
		l, known := found[key]
		switch {
		case !known || v > l.Verdict || v == l.Verdict && l.Reason == "" && reason != "":
			found[key] = Line{At: at, Verdict: v, Reason: reason}
		case v == l.Verdict && reason != "" && len(l.Reason) < maxReason && !strings.Contains(l.Reason, reason):
			l.Reason = strings.TrimPrefix(l.Reason+"; "+reason, "; ")
			found[key] = l
		}
	}
	var walk func(all []*conftree.Statement)
	walk = func(all []*conftree.Statement) {
		for _, s := range all {
			j := r.verdicts[s]
			add(s.At(), max(j.verdict, Translated), strings.Join(j.reasons, "; "))
			if s.IsBlock {
				add(s.End, Translated, "")
			}
			walk(s.Block)
		}
	}
	for _, f := range r.files {
		walk(f.Tree.Statements)
		for _, p := range f.Tree.Problems {
			v := Refused
			if p.AsMeant {
				v = Changed
			}
			add(p.At, v, strings.TrimSuffix(p.Message+" ("+p.Hint+")", " ()"))
		}
	}
	var all []Line
	for _, f := range r.files {
		values := passwords(f.Tree.Statements)
		contained := func(text string) bool {
			return slices.ContainsFunc(values, func(v string) bool { return strings.Contains(text, v) })
		}
		for _, text := range f.Tree.Lines {
			l, known := found[place{text.At.File, text.At.Line}]
			if !known {
				l = Line{At: text.At}
				l.Verdict, l.Reason = kindVerdict(text)
			}
			if secretComment(f.Kind, text.Text) {
				l.leaveOut()
			}
			l.Text = text.Text
			l.secret = text.Kind == conftree.Definition && contained(text.Text)
			all = append(all, l)
		}
	}
	return all
}

// kindVerdict is the verdict on a line without statements.
func kindVerdict(l conftree.Line) (Verdict, string) {
	bare := strings.Trim(l.Text, " \t{}\\")
	switch {
	case l.Kind == conftree.Blank:
		return Empty, ""
	case l.Kind == conftree.Unreachable && (strings.TrimSpace(l.Text) == "" || bare != "" && strings.ContainsAny(bare[:1], "#!")):
		return Empty, ""
	case l.Kind == conftree.Unreachable:
		return Refused, "it could not be read, because of what comes before"
	case l.Kind == conftree.OtherHost:
		return NoEffect, "it is for another host"
	case l.Kind == conftree.Definition, l.Kind == conftree.Include:
		return Translated, ""
	case bare == "" || strings.ContainsAny(bare[:1], "#!~$@"):
		return Translated, ""
	}
	return NoEffect, "it is in a definition that is not used"
}
