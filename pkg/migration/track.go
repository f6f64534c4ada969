package migration

import (
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
	"github.com/lvs-director/lvs-director/pkg/keepalived"
)

// track is a vrrp_script, vrrp_track_process or vrrp_track_file, or the track of an interface.
type track struct {
	*object
	name    string
	weight  int
	reverse bool
	used    bool
	watched watched // of a process
	// of a script
	interval, timeout float64
}

func (t *track) keys() *object { return t.object }

var scriptWords = words[*track]{
	"script":    func(r *reader, t *track, s *conftree.Statement) { r.readProbe(t, s) },
	"interval":  func(r *reader, t *track, s *conftree.Statement) { _, t.interval, _ = r.seconds(s, 0.1, 3600) },
	"timeout":   func(r *reader, t *track, s *conftree.Statement) { _, t.timeout, _ = r.seconds(s, 0.01, 3600) },
	"weight":    readWeight,
	"rise":      numberTo[*track]("rise", 1, 100),
	"fall":      numberTo[*track]("fall", 1, 100),
	"user":      func(r *reader, t *track, s *conftree.Statement) { r.setUser(t.object, s.Args(), s) },
	"init_fail": changed[*track]("a track without a result is neither up nor down, and the instance waits for it"),
}

var processWords = words[*track]{
	"process":         readProcess,
	"weight":          readWeight,
	"quorum":          numberTo[*track]("at_least", 1, 10000),
	"quorum_max":      numberTo[*track]("at_most", 1, 10000),
	"delay":           func(r *reader, t *track, s *conftree.Statement) { delayBoth(r, t, s) },
	"fork_delay":      secondsTo[*track]("up_delay", 0, 300),
	"terminate_delay": secondsTo[*track]("down_delay", 0, 300),
	"full_command":    always[*track]("process is the name of the program, and command_line its whole command line"),
	"param_match":     readParamMatch,
}

var fileWords = words[*track]{
	"file": func(r *reader, t *track, s *conftree.Statement) {
		if !strings.HasPrefix(s.Arg(1), "/") {
			r.judge(s, Refused, "'%s' is no absolute path", s.Arg(1))
			return
		}
		r.set(t.object, "path", s.Arg(1), s)
	},
	"weight":    readWeight,
	"init_file": changed[*track]("the file is read, and never written"),
}

func delayBoth(r *reader, t *track, s *conftree.Statement) {
	if d, _, ok := r.seconds(s, 0, 300); ok {
		r.set(t.object, "up_delay", d, s)
		r.set(t.object, "down_delay", d, nil)
	}
}

// readWeight reads the weight of a track, which is that of the instances that name it.
func readWeight(r *reader, t *track, s *conftree.Statement) {
	if n, ok := r.number(&conftree.Statement{Words: s.Words[:min(2, len(s.Words))]}, -253, 253); ok {
		t.weight = n
		t.reverse = s.Arg(2) == "reverse"
		return
	}
	r.moveVerdict(s)
	r.judge(s, Refused, "keepalived then takes it for weight 0: FAULT instead of another priority")
}

// moveVerdict repeats the check of a number for the whole statement, so that the reason is its own.
func (r *reader) moveVerdict(s *conftree.Statement) { r.number(s, -253, 253) }

// declare reads a block that declares a track.
func (r *reader) declare(s *conftree.Statement, kind string, known words[*track]) {
	t := &track{object: &object{at: s, comments: comments(s)}, name: name(s.Arg(1)), interval: 1}
	if s.Arg(1) == "" {
		r.judgeAll(s, Refused, "the name is missing")
		return
	}
	types := map[string]string{"script": "command", "process": "process", "file": "file"}
	r.set(t.object, "name", t.name, nil)
	r.set(t.object, "type", types[kind], nil)
	readBlock(r, s, t, known, "tracks")
	r.surplus(s, 2)
	if kind == "script" {
		t.finishScript(r)
	}
	if kind == "process" {
		t.finishProcess(r)
	}
	required := map[string]string{"command": "command", "process": "process", "file": "path"}
	if key := required[t.text("type")]; t.get(key) == nil && t.get("command_line") == nil {
		r.judgeAll(s, Refused, "what it watches is missing, so keepalived removes it")
		return
	}
	if before := r.scripts[kind+" "+s.Arg(1)]; before != nil {
		r.judge(s, Refused, "line %d declares it already", before.at.At().Line)
		return
	}
	r.scripts[kind+" "+s.Arg(1)] = t
	r.declared = append(r.declared, t)
}

// finishScript writes the times of a script, whose defaults differ here.
func (t *track) finishScript(r *reader) {
	if t.text("type") != "command" {
		t.delays(r)
		return
	}
	if t.timeout == 0 {
		t.timeout = t.interval
	}
	if t.timeout > t.interval {
		r.judge(t.at, Changed, "a check takes at most its interval: timeout %s", duration(t.interval))
		t.timeout = t.interval
	}
	r.set(t.object, "interval", duration(t.interval), nil)
	r.set(t.object, "timeout", duration(t.timeout), nil)
	t.add("fall", 1)
	t.add("rise", 1)
	if t.get("user") == nil && t.get("command") != nil {
		r.setUser(t.object, nil, nil)
	}
	t.sort("name", "type", "command", "user", "groups", "interval", "timeout", "fall", "rise")
}

// delays writes, for a script that has become a track of type process, how long several checks take, and removes what only a program
// needs.
func (t *track) delays(r *reader) {
	for _, d := range []struct{ word, key string }{{"fall", "down_delay"}, {"rise", "up_delay"}} {
		e := t.get(d.word)
		if e == nil {
			continue
		}
		checks, _ := strconv.Atoi(e.value.Value)
		at, delay := e.at, min(float64(checks-1)*t.interval, 300)
		t.remove(d.word)
		if delay > 0 {
			r.set(t.object, d.key, duration(delay), nil)
			r.judge(at, Changed, "a process is not looked for at intervals: %s is as long as %d of them", d.key, checks-1)
		}
	}
	if e := t.get("user"); e != nil {
		if e.at != nil {
			r.judge(e.at, Changed, "no program is started")
		}
		t.remove("user")
		t.remove("groups")
	}
}

// readProbe reads the command line of a vrrp_script. The usual ways of looking for a process become a track of type
// process, which starts no program.
func (r *reader) readProbe(t *track, s *conftree.Statement) {
	command, others := keepalived.Script(s.Raw, 1)
	if len(others) > 0 {
		r.judge(s, Changed, "keepalived ignores '%s' at the end of the line", strings.Join(others, " "))
	}
	if program := processOf(command); program != "" {
		r.judge(s, Changed, "a track of type process, which starts no program")
		r.set(t.object, "type", "process", nil)
		r.set(t.object, "process", program, s)
		return
	}
	if argv := r.argv(s, command); argv != nil {
		r.set(t.object, "command", argv, s)
	}
}

// processOf returns the program that a command line looks for; "" if it does something else.
func processOf(command []string) string {
	if len(command) < 2 {
		return ""
	}
	program := command[0][strings.LastIndexByte(command[0], '/')+1:]
	args := strings.Join(command[1:len(command)-1], " ")
	last := command[len(command)-1]
	switch {
	case last == "" || strings.ContainsAny(last, "-|&;<>()$`*?[]{}/ \t\"'\\"):
	case program == "killall" && (args == "-0" || args == "-s 0" || args == "-q -0"):
		return last
	case program == "pidof" && args == "", program == "pgrep" && args == "-x":
		return last
	}
	return ""
}

// argv returns the words of a command that needs no shell, or those of the shell that runs it. nil: it is refused.
func (r *reader) argv(s *conftree.Statement, command []string) []string {
	if len(command) == 0 || command[0] == "" {
		r.judge(s, Refused, "the program is missing")
		return nil
	}
	switch text := strings.Join(command, " "); {
	case strings.ContainsAny(text, "|&;<>`") || strings.Contains(text, "$("):
		r.judge(s, Changed, "it has operators of the shell, so the shell runs it: look whether it does what is meant")
		return []string{"/bin/sh", "-c", shellWords(command)}
	case !strings.HasPrefix(command[0], "/"):
		r.judge(s, Changed, "a program needs an absolute path: the shell looks for it")
		return []string{"/bin/sh", "-c", "exec " + shellWords(command)}
	}
	return command
}

// shellWords quotes the words of a command for the shell where needed.
func shellWords(words []string) string {
	quotedWords := make([]string, len(words))
	for i, w := range words {
		if quotedWords[i] = w; w == "" || strings.ContainsAny(w, " \t\n\"'\\#") {
			quotedWords[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quotedWords, " ")
}

// setUser sets the user of a program: its own, else script_user, else root, as keepalived without a user
// keepalived_script.
func (r *reader) setUser(o *object, user []string, at *conftree.Statement) {
	if len(user) == 0 {
		user = r.global.user
	}
	if len(user) == 0 {
		user = []string{"root"}
		r.says("whether the machines have a user keepalived_script, whom keepalived would run programs as: user is root")
	}
	r.set(o, "user", user[0], at)
	if len(user) > 1 {
		r.set(o, "groups", []string{strings.TrimPrefix(user[1], ":")}, nil)
	}
}

// use returns what an instance or a group writes for a track.
func (t *track) use(weight int, reverse bool) *object {
	o := &object{}
	o.add("name", t.name)
	if weight != 0 {
		o.add("weight", weight)
		if reverse {
			o.add("reverse", true)
		}
	}
	return o
}

// readUses reads a block that names tracks of a kind.
func (r *reader) readUses(kind string, uses *[]*object, s *conftree.Statement) {
	for _, line := range s.Block {
		t := r.scripts[kind+" "+line.Keyword()]
		if t == nil {
			var known []string
			for n := range r.scripts {
				if k, word, _ := strings.Cut(n, " "); k == kind {
					known = append(known, word)
				}
			}
			r.judgeAll(line, Refused, "no %s of this name%s", kind, didYouMean(line.Keyword(), known))
			continue
		}
		weight, reverse := t.weight, t.reverse
		for i := 1; i < len(line.Words); i++ {
			switch {
			case line.Arg(i) == "reverse":
				reverse = true
			case line.Arg(i) == "weight" && i+1 < len(line.Words):
				n, err := strconv.Atoi(line.Arg(i + 1))
				if err != nil || n < -253 || n > 253 {
					r.judge(line, Refused, "'%s' is no weight from -253 to 253", line.Arg(i+1))
				} else {
					weight, reverse = n, false
				}
				i++
			default:
				r.judge(line, Refused, "'%s' is not understood here", line.Arg(i))
			}
		}
		t.used = true
		*uses = append(*uses, t.use(weight, reverse))
		r.rest(line)
	}
}

// readInterfaces reads track_interface. own is the interface that is always tracked.
func (r *reader) readInterfaces(own string, uses *[]*object, s *conftree.Statement) {
	for _, line := range s.Block {
		weight := 0
		if line.Arg(1) == "weight" {
			weight, _ = strconv.Atoi(line.Arg(2))
		}
		switch {
		case line.Keyword() == own && weight == 0:
			r.judge(line, Translated, "the instance's own interface is always tracked")
		case len(line.Words) > 3+btoi(line.Arg(3) == "reverse") || len(line.Words) == 2 || weight < -253 || weight > 253:
			r.judge(line, Refused, "not understood: INTERFACE weight N")
		default:
			t := r.scripts["interface "+line.Keyword()]
			if t == nil {
				t = &track{object: &object{at: line}, name: name("link-" + line.Keyword())}
				r.set(t.object, "name", t.name, nil)
				r.set(t.object, "type", "interface", nil)
				r.set(t.object, "interface", line.Keyword(), nil)
				r.scripts["interface "+line.Keyword()] = t
				r.declared = append(r.declared, t)
			}
			t.used = true
			*uses = append(*uses, t.use(weight, line.Arg(3) == "reverse"))
		}
		r.rest(line)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
