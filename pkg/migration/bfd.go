package migration

import (
	"slices"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// session is a bfd_instance.
type session struct {
	*object
	name       string
	interfaces []string // of the instances that track it, each once
	used       bool
	receive    int // min_rx and min_tx in milliseconds
	send       int
}

func (b *session) keys() *object { return b.object }

var sessionWords = words[*session]{
	"neighbor_ip": func(r *reader, b *session, s *conftree.Statement) {
		if at, ok := r.addrPort(s, s.Arg(1), 0); ok {
			r.set(b.object, "address", at.Addr().String(), s)
		}
	},
	"min_rx":     func(r *reader, b *session, s *conftree.Statement) { b.receive = r.milliseconds(s, b.receive) },
	"min_tx":     func(r *reader, b *session, s *conftree.Statement) { b.send = r.milliseconds(s, b.send) },
	"multiplier": numberTo[*session]("multiplier", 2, 255),
	"passive":    flagTo[*session]("passive", true),
}

func (r *reader) milliseconds(s *conftree.Statement, otherwise int) int {
	if n, ok := r.number(s, 1, 10000); ok {
		return n
	}
	return otherwise
}

// readSession reads a bfd_instance, whose defaults in keepalived are 10 ms and 5 packets.
func (r *reader) readSession(s *conftree.Statement) {
	b := &session{object: &object{at: s, comments: comments(s)}, name: name(s.Arg(1)), receive: 10, send: 10}
	if b.name == "" {
		r.judgeAll(s, Refused, "the name is missing")
		return
	}
	r.set(b.object, "name", b.name, nil)
	readBlock(r, s, b, sessionWords, "bfd_sessions")
	if b.get("address") == nil {
		r.judgeAll(s, Refused, "it has no valid neighbor_ip")
		return
	}
	interval := max(b.receive, b.send)
	if b.receive != b.send {
		r.judge(s, Changed, "packets have the same interval in both directions: %d ms, the longer one", interval)
	}
	if interval < 10 {
		interval = 10
		r.judge(s, Changed, "the interval is at least 10 ms")
	}
	r.set(b.object, "interval", duration(float64(interval)/1000), nil)
	b.add("multiplier", 5)
	r.sessions[s.Arg(1)] = b
	r.sessionList = append(r.sessionList, b)
}

// later returns a block that is read when more is known.
func (r *reader) later(s *conftree.Statement) *conftree.Statement {
	for _, line := range s.Block {
		r.judge(line, Translated, "")
	}
	return s
}

// readBFD reads track_bfd. interfaces are those of the instance or of the instances of a group.
func (r *reader) readBFD(in *subject, interfaces []string, s *conftree.Statement) {
	for _, line := range s.Block {
		b := r.sessions[line.Keyword()]
		if b == nil {
			var known []string
			for n := range r.sessions {
				known = append(known, n)
			}
			slices.Sort(known)
			r.judgeAll(line, Refused, "no bfd_instance of this name%s", didYouMean(line.Keyword(), known))
			continue
		}
		if len(line.Words) > 1 && line.Arg(2) != "0" {
			r.judge(line, Changed, "a session that is down puts the instance into FAULT, whatever its weight")
		}
		b.used = true
		for _, i := range interfaces {
			if !slices.Contains(b.interfaces, i) {
				b.interfaces = append(b.interfaces, i)
			}
		}
		use := &object{}
		use.add("name", b.name)
		in.uses = append(in.uses, use)
		r.rest(line)
	}
}

// finishSessions writes the interfaces of sessions, which keepalived.conf does not have.
func (r *reader) finishSessions() {
	for _, b := range r.sessionList {
		switch {
		case !b.used:
			r.judge(b.at, NoEffect, "nothing tracks it")
		case len(b.interfaces) == 1:
			r.set(b.object, "interface", b.interfaces[0], nil)
			r.says("the interface of bfd_sessions " + b.name + ": that of the instances that track it is written")
		default:
			r.judge(b.at, Refused, "write interface in bfd_sessions: the instances that track it are on several ones")
		}
		b.sort("name", "interface", "address", "interval", "multiplier", "passive")
	}
}
