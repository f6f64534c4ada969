package migration

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// handler reads a statement of a block of type T, and gives a verdict on it unless it is translated.
type handler[T any] func(r *reader, in T, s *conftree.Statement)

// words are the keywords of a kind of block.
type words[T any] map[string]handler[T]

// readBlock reads the statements of a block. sections are those of the cluster file whose words of keepalived apply.
func readBlock[T any](r *reader, s *conftree.Statement, in T, known words[T], sections ...string) {
	if !s.IsBlock {
		r.judge(s, Refused, "keepalived expects a block here: add { and }")
		return
	}
	for _, inner := range s.Block {
		if read := known[inner.Keyword()]; read != nil && !inner.Words[0].Quoted {
			read(r, in, inner)
			r.rest(inner)
			continue
		}
		r.foreign(inner, maps.Keys(known), sections)
	}
	r.judge(s, Translated, "")
}

// rest marks what is in a block that a keyword without one should not have.
func (r *reader) rest(s *conftree.Statement) {
	j, judged := r.verdicts[s]
	if !judged {
		r.judge(s, Translated, "")
	}
	for _, inner := range s.Block {
		if _, done := r.verdicts[inner]; !done {
			if j.verdict > Translated {
				r.judgeAll(inner, j.verdict, "it is in the block of line %d", s.At().Line)
			} else {
				r.judgeAll(inner, Refused, "%s has no block in keepalived: a } is missing or too much", s.Keyword())
			}
		}
	}
}

// maxHints is for how many words it is looked what they might have been.
const maxHints = 1000

// foreign gives a verdict on a keyword without a handler: that of the reference of the cluster file, or that the program of
// the file does not know it.
func (r *reader) foreign(s *conftree.Statement, known iter.Seq[string], sections []string) {
	word := s.Keyword()
	for _, section := range sections {
		w, listed := reference[section][strings.ToLower(word)]
		if !listed {
			continue
		}
		if reason, none := strings.CutPrefix(w.Here, "none: "); none {
			r.judgeAll(s, Changed, "%s", reason)
		} else {
			r.judgeAll(s, Refused, "write %s", w.Here)
		}
		return
	}
	hint := ""
	if r.hints++; r.hints > maxHints {
		r.judgeAll(s, Refused, "%s", r.kind.stranger())
		return
	}
	all := slices.Collect(known)
	for _, section := range sections {
		all = slices.AppendSeq(all, maps.Keys(reference[section]))
	}
	slices.Sort(all)
	if guess := config.Nearest(word, all); guess != "" {
		hint = " (did you mean " + guess + "?)"
	}
	if s.IsBlock && r.kind == Keepalived {
		hint += "; keepalived takes its } for the end of the block around it"
	}
	r.judgeAll(s, Refused, "%s%s", r.kind.stranger(), hint)
}

// always, noEffect, changed and refused are handlers of keywords without a key.
func always[T any](reason string) handler[T]   { return verdictOf[T](Translated, reason) }
func noEffect[T any](reason string) handler[T] { return verdictOf[T](NoEffect, reason) }
func changed[T any](reason string) handler[T]  { return verdictOf[T](Changed, reason) }
func refused[T any](reason string) handler[T]  { return verdictOf[T](Refused, reason) }

func verdictOf[T any](v Verdict, reason string) handler[T] {
	return func(r *reader, _ T, s *conftree.Statement) { r.judgeAll(s, v, "%s", reason) }
}

// number reads the first argument as a whole number; one that is not, or is out of range, is refused.
func (r *reader) number(s *conftree.Statement, low, high int) (int, bool) {
	text := s.Arg(1)
	n, err := strconv.Atoi(text)
	switch {
	case text == "":
		r.judge(s, Refused, "a number is missing")
	case err != nil:
		hint := ""
		if plain := strings.Map(asciiDigit, text); plain != text {
			if _, err := strconv.Atoi(plain); err == nil {
				hint = " (did you mean " + plain + "?)"
			}
		}
		r.judge(s, Refused, "'%s' is no whole number%s", text, hint)
	case n < low || n > high:
		r.judge(s, Refused, "%d is out of range here: %d to %d", n, low, high)
	default:
		r.surplus(s, 2)
		return n, true
	}
	return 0, false
}

// asciiDigit replaces characters that look like a sign.
func asciiDigit(c rune) rune {
	switch c {
	case '–', '—', '−', '‐':
		return '-'
	case '+':
		return '+'
	}
	return c
}

// seconds reads the first argument as seconds, which may have a fraction, and returns a duration of the cluster file.
func (r *reader) seconds(s *conftree.Statement, low, high float64) (string, float64, bool) {
	text := s.Arg(1)
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case text == "":
		r.judge(s, Refused, "a number of seconds is missing")
	case err != nil || n != n:
		r.judge(s, Refused, "'%s' is no number of seconds", text)
	case n < low || n > high:
		r.judge(s, Refused, "%s s is out of range here: %s to %s", text, duration(low), duration(high))
	default:
		r.surplus(s, 2)
		return duration(n), n, true
	}
	return "", 0, false
}

// duration returns a duration of the cluster file.
func duration(seconds float64) string {
	if ms := int64(seconds*1000 + 0.5); ms%1000 != 0 {
		return strconv.FormatInt(ms, 10) + "ms"
	}
	return strconv.FormatInt(int64(seconds+0.0005), 10) + "s"
}

// surplus reports words behind the last one that the program reads.
func (r *reader) surplus(s *conftree.Statement, from int) {
	if len(s.Words) > from {
		r.judge(s, Changed, "%s ignores '%s' at the end of the line", r.kind, strings.Join(s.Args()[from-1:], " "))
	}
}

// on reads the optional boolean of a keyword.
func (r *reader) on(s *conftree.Statement) (value, ok bool) {
	r.surplus(s, 2)
	switch s.Arg(1) {
	case "", "on", "true", "yes":
		return true, true
	case "off", "false", "no":
		return false, true
	}
	r.judge(s, Refused, "'%s' is not on or off", s.Arg(1))
	return false, false
}

// target returns the object that keys of a block go to.
type target interface{ keys() *object }

func numberTo[T target](key string, low, high int) handler[T] {
	return func(r *reader, in T, s *conftree.Statement) {
		if n, ok := r.number(s, low, high); ok {
			r.set(in.keys(), key, n, s)
		}
	}
}

func secondsTo[T target](key string, low, high float64) handler[T] {
	return func(r *reader, in T, s *conftree.Statement) {
		if d, _, ok := r.seconds(s, low, high); ok {
			r.set(in.keys(), key, d, s)
		}
	}
}

// flagTo sets a key for a keyword with an optional boolean; off is the opposite value.
func flagTo[T target](key string, value bool) handler[T] {
	return func(r *reader, in T, s *conftree.Statement) {
		if on, ok := r.on(s); ok {
			r.set(in.keys(), key, on == value, s)
		}
	}
}
