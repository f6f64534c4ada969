package migration

import (
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/conftree"
	"github.com/lvs-director/lvs-director/pkg/keepalived"
)

// subject is an instance or a sync group: it has tracks and hooks.
type subject struct {
	*object
	name  string
	uses  []*object
	hooks []*object
	alert bool
	// priorities is notify_priority_changes; nil: that of global_defs
	priorities   *bool
	prioritiesAt *conftree.Statement
}

func (s *subject) keys() *object  { return s.object }
func (s *subject) base() *subject { return s }

// tracker is what is based on a subject.
type tracker interface {
	target
	base() *subject
}

// notifyWords are the keywords of hooks and tracks, which instances and groups share.
func notifyWords[T tracker](into words[T]) words[T] {
	for word, moments := range map[string][]string{
		"notify_master": {"master"}, "notify_backup": {"backup"}, "notify_fault": {"fault"}, "notify_stop": {"stop"}, "notify_deleted": {"stop"},
		"notify_master_rx_lower_pri": {"lower_advert"}, "notify": {"any"},
	} {
		into[word] = func(r *reader, in T, s *conftree.Statement) { r.readHook(in.base(), moments, s) }
	}
	into["notify_priority_changes"] = func(r *reader, in T, s *conftree.Statement) {
		if on, ok := r.on(s); ok {
			in.base().priorities, in.base().prioritiesAt = &on, s
		}
	}
	into["smtp_alert"] = func(r *reader, in T, s *conftree.Statement) {
		if on, ok := r.on(s); ok {
			in.base().alert = on
			r.mailHook(in.base(), s)
		}
	}
	for word, kind := range map[string]string{"track_script": "script", "track_process": "process", "track_file": "file"} {
		into[word] = func(r *reader, in T, s *conftree.Statement) { r.readUses(kind, &in.base().uses, s) }
	}
	return into
}

// readHook reads a notify script. Without quotes, keepalived takes the words behind the program for a user and a group.
func (r *reader) readHook(in *subject, moments []string, s *conftree.Statement) {
	command, user := keepalived.Script(s.Raw, 1)
	if len(user) > 2 || slices.ContainsFunc(user, noUser) {
		r.judge(s, Refused, "keepalived takes '%s' for a user and a group: put the program and its arguments in quotes", strings.Join(user, " "))
		return
	}
	argv := r.argv(s, command)
	if argv == nil {
		return
	}
	if len(user) > 0 && user[0] == "backup" {
		r.judge(s, Changed, "keepalived takes 'backup' for the user: if it is an argument, put it in quotes with the program")
	}
	hook := &object{at: s}
	r.set(hook, "on", moments, nil)
	r.set(hook, "command", argv, nil)
	if s.Keyword() == "notify" {
		r.set(hook, "arguments", true, nil)
	}
	r.setUser(hook, user, nil)
	in.hooks = append(in.hooks, hook)
}

// readPoolHook reads a script of a real server or of a quorum.
func (r *reader) readPoolHook(in *subject, moment string, s *conftree.Statement) {
	r.readHook(in, []string{moment}, s)
	if moment == "quorum_up" {
		r.judge(s, Changed, "it also runs when the quorum is first met after a start")
	}
}

// judgeServerHooks says what differs at a start for a real server with alpha, which keepalived takes for one that has been down before.
func (r *reader) judgeServerHooks(v *service, rs *server) {
	if !startsDown(v.at, rs.at) {
		return
	}
	for _, h := range rs.subject.hooks {
		switch h.at.Keyword() {
		case "notify_up":
			r.judge(h.at, Changed, "with alpha keepalived also runs it when the first checks after a start pass")
		case "notify_down":
			r.judge(h.at, Changed, "it also runs when the first checks after a start fail")
		}
	}
}

// startsDown reports whether alpha is on for a real server, or for one of its checks.
func startsDown(service, server *conftree.Statement) bool {
	on := alphaIn(server, alphaIn(service, false))
	return on || slices.ContainsFunc(server.Block, func(check *conftree.Statement) bool { return alphaIn(check, false) })
}

func alphaIn(block *conftree.Statement, inherited bool) bool {
	for _, s := range block.Block {
		if s.Keyword() == "alpha" {
			inherited = !slices.Contains([]string{"off", "false", "no"}, s.Arg(1))
		}
	}
	return inherited
}

func (r *reader) setPoolHooks(of *object, from subject) {
	if len(from.hooks) > 0 {
		r.set(of, "notify", from.hooks, nil)
	}
}

// noUser reports that a word is an argument of a script rather than a user or a group.
func noUser(word string) bool {
	return strings.ContainsAny(word, "/.=") || strings.HasPrefix(word, "-") ||
		slices.Contains([]string{"master", "backup", "fault", "stop", "notify"}, strings.ToLower(word)) && word != "backup"
}

// mailHook adds a hook that sends mails.
func (r *reader) mailHook(in *subject, s *conftree.Statement) {
	g := r.global
	if !in.alert {
		return
	}
	if len(g.mailTo) == 0 {
		r.judge(s, NoEffect, "there is no notification_email, so keepalived sends no mails")
		in.alert = false
		return
	}
	hook := &object{at: s}
	r.set(hook, "on", []string{"any"}, nil)
	r.set(hook, "mail_to", g.mailTo, nil)
	if g.mailTimeout != "" {
		r.set(hook, "timeout", g.mailTimeout, nil)
	}
	in.hooks = append(in.hooks, hook)
}

func (s *subject) finish(r *reader) {
	if len(s.uses) > 0 {
		flowing := encode(s.uses)
		r.set(s.object, "tracks", flowing, nil)
	}
	s.notifyPriorities(r)
	if s.alert {
		if r.global.used = true; r.global.mailFrom == "" {
			r.says("the sender of mails: mail.from is missing")
		}
	}
	if len(s.hooks) > 0 {
		r.set(s.object, "notify", s.hooks, nil)
	}
}

// notifyPriorities adds changes of the priority to the hooks that have notify's arguments.
func (s *subject) notifyPriorities(r *reader) {
	on := r.global.priorities
	if s.priorities != nil {
		on = *s.priorities
	}
	found := false
	for _, h := range s.hooks {
		if on && h.text("arguments") == "true" {
			r.set(h, "on", []string{"any", "priority"}, nil)
			found = true
		}
	}
	if on && !found && s.prioritiesAt != nil {
		r.judge(s.prioritiesAt, NoEffect, "there is no notify, which alone has the priority")
	}
}

// comments are those before a block, and behind its first line.
func comments(s *conftree.Statement) []string {
	all := append([]string{}, s.Comments...)
	if s.Trailing != "" {
		all = append(all, s.Trailing)
	}
	return all
}

func didYouMean(word string, known []string) string {
	if guess := config.Nearest(word, known); guess != "" {
		return " (did you mean " + guess + "?)"
	}
	return ""
}
