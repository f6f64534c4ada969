package migration

import (
	"regexp"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// watched is what a vrrp_track_process looks for.
type watched struct {
	at      *conftree.Statement
	words   []string // the program and its arguments
	compare string   // param_match: exact, initial or partial; "" if it is not given
}

func readProcess(r *reader, t *track, s *conftree.Statement) {
	t.watched.at = s
	for _, w := range s.Words[1:] {
		t.watched.words = append(t.watched.words, strings.Fields(w.Text)...)
	}
	if len(t.watched.words) == 0 {
		r.judge(s, Refused, "the program is missing")
	}
}

func readParamMatch(r *reader, t *track, s *conftree.Statement) {
	switch t.watched.compare = s.Arg(1); t.watched.compare {
	case "initial", "partial":
	case "exact", "":
		t.watched.compare = "exact"
	default:
		r.judge(s, Refused, "'%s' is not initial or partial", s.Arg(1))
		t.watched.compare = "exact"
	}
}

// finishProcess writes the name of the program, or a regular expression of its command line if its arguments count.
func (t *track) finishProcess(r *reader) {
	w := t.watched
	if len(w.words) == 0 {
		return
	}
	program := w.words[0][strings.LastIndexByte(w.words[0], '/')+1:]
	if len(w.words) == 1 && w.compare == "" {
		r.set(t.object, "process", program, w.at)
		t.sort("name", "type", "process")
		return
	}
	command := `(\S*/)?` + regexp.QuoteMeta(program)
	if strings.Contains(w.words[0], "/") {
		command = regexp.QuoteMeta(w.words[0])
	}
	args := regexp.QuoteMeta(strings.Join(w.words[1:], " "))
	if args != "" {
		args = " " + args
	}
	switch w.compare {
	case "initial":
		args += `( |$)`
	case "partial":
		args = `( .*)?` + args
	default:
		args += `$`
	}
	r.set(t.object, "command_line", "^"+command+args, w.at)
	t.sort("name", "type", "command_line")
	r.judge(w.at, Changed, "command_line is a regular expression of the program and its arguments")
}
