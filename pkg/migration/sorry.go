package migration

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// keyed is a target that is an object.
type keyed struct{ *object }

func (k keyed) keys() *object { return k.object }

func readSorryServer(r *reader, v *service, s *conftree.Statement) {
	addr, err := netip.ParseAddr(s.Arg(1))
	port, err2 := strconv.ParseUint(s.Arg(2), 10, 16)
	if err != nil || len(s.Words) > 3 || s.Arg(2) != "" && err2 != nil {
		r.judge(s, Refused, "want sorry_server ADDRESS PORT (is a blank missing?)")
		return
	}
	if v.sorry != nil {
		r.judge(v.sorry.at, NoEffect, "line %d replaces it", s.At().Line)
	}
	v.sorry = &object{at: s}
	r.set(v.sorry, "address", addr.String(), nil)
	if port != 0 {
		r.set(v.sorry, "port", int(port), nil)
	}
}

// finishQuorum writes the quorum and the sorry server.
func (r *reader) finishQuorum(v *service) {
	total := 0
	for _, rs := range v.servers {
		weight := 1
		if e := rs.get("weight"); e != nil {
			weight, _ = strconv.Atoi(e.value.Value)
		}
		total += weight
	}
	if v.quorum > total && total > 0 {
		r.judge(v.quorumAt, Changed, "the weights add up to %d, to which keepalived lowers it", total)
		v.quorum = total
	}
	if v.quorum > 1 {
		r.set(v.object, "quorum", v.quorum, nil)
	}
	if most := total - max(v.quorum, 1); v.hysteresis > most && most >= 0 {
		r.judge(v.hysteresisAt, Changed, "keepalived would never meet the quorum again: it is at most %d", most)
		v.hysteresis = most
	}
	if most := max(v.quorum, 1) - 1; v.hysteresis > most {
		r.judge(v.hysteresisAt, Changed, "it is at most the quorum less 1, to which keepalived lowers it: %d", most)
		v.hysteresis = most
	}
	if v.hysteresis > 0 {
		r.set(v.object, "hysteresis", v.hysteresis, nil)
	}
	if v.sorry != nil {
		r.finishSorry(v)
		return
	}
	for _, e := range v.sorryKeys.entries {
		r.judge(e.at, NoEffect, "there is no sorry_server")
	}
}

func (r *reader) finishSorry(v *service) {
	o := v.sorry
	addr := o.text("address")
	own, _ := strconv.Atoi(o.text("port"))
	own = v.portOf(v.forwardOf(o), own)
	if slices.ContainsFunc(v.servers, func(rs *server) bool {
		return rs.addr.String() == addr && v.portOf(v.forwardOf(rs.object), rs.port) == own
	}) {
		if v.sorryShared {
			r.judge(v.at, Refused, "it has no sorry_server, because the global fallback is one of its real servers, which %s takes, and then confuses the two", r.kind)
			return
		}
		r.judge(o.at, Refused, "it is one of the real servers, which %s takes, and then confuses the two", r.kind)
		return
	}
	for _, e := range v.sorryKeys.entries {
		e.comment = ""
		o.entries = append(o.entries, e)
	}
	forward := v.forwardOf(o)
	switch port := o.text("port"); {
	case v.many && own != 0: // the kernel sends to this port
	case port == v.text("port") || v.many:
		o.remove("port")
	case port != "" && forward != "nat":
		r.judge(o.at, Changed, "%s cannot change the port: it is %s, as in %s", forward, v.text("port"), r.kind)
		o.remove("port")
	}
	r.judge(o.at, Changed, "it is not checked, as in %s: without checks: [] it is checked like the real servers", r.kind)
	r.set(o, "checks", []string{}, nil)
	r.set(v.object, "sorry_server", o, nil)
}
