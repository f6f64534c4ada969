package director

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// giveWayEvery is the number of real servers after which the CPU is yielded to the elections: the runtime preempts only
// after 10 ms.
const giveWayEvery = 64

// virtualServerStatus returns the state of a pool: of several services the worst, and of their entries the sums. known
// has the verdicts and what operators have decided.
func virtualServerStatus(v config.VirtualServer, known plan.Table, table func(lvs.Key) lvs.Table) status.VirtualServer {
	s := status.VirtualServer{
		Name: v.Name, Address: v.Address.String(), Port: int(v.Port), Protocol: v.Protocol, Scheduler: v.Scheduler,
		Forward: string(v.Forward), RealServers: make([]status.RealServer, 0, len(v.RealServers)),
	}
	if v.Several() {
		s.Addresses, s.Ports = severalOf(v)
	}
	if v.Mark != 0 {
		s.Address, s.FirewallMark = "", v.Mark
	}
	all := make([]member, len(v.RealServers))
	health, first := lvs.PoolUp, true
	conditions, memory := known.Conditions(v), known.Memory(v)
	if lvs.Remembers(v) {
		s.StandbyUsed, s.BelowPanicThreshold = memory.Standby, memory.Keeps(v, known.Condition)
		s.Quorum, s.SorryServerUsed = map[bool]string{false: "met", true: "lost"}[memory.Lost], memory.Sorry
	}
	for one := range v.Services() {
		at := table(lvs.KeyOf(one))
		pool := lvs.Standings(one, conditions, at)
		addMembers(all, one, pool, at.Have)
		if h, reason := lvs.PoolHealth(one, pool, memory); first || h < health {
			health, s.Reason = h, reason
			if v.Several() && h < lvs.PoolUp {
				s.Reason += fmt.Sprintf(" (%s)", netip.AddrPortFrom(one.Address, one.Port))
			}
		}
		first = false
		if a := at.Have.Assignment; a != "" && !strings.Contains(s.Assignment, a) { // services of one virtual server are usually alike
			s.Assignment = strings.TrimPrefix(s.Assignment+","+a, ",")
		}
	}
	for i, r := range v.RealServers {
		if i%giveWayEvery == giveWayEvery-1 {
			runtime.Gosched()
		}
		verdict := verdictOf(known.Verdicts, config.Subject{Server: config.ServerID{Service: v.Name, Server: r.Name}})
		one := realServerStatus(v, r, verdict, all[i].standing, all[i].entry)
		whole := known.Condition(config.ServerID{Service: v.Name, Server: r.Name}).Whole(r.Weight)
		addSlowStart(&one, v, known.Starts.Of(v).StartOf(v, r), all[i].entry, whole, time.Now())
		s.RealServers = append(s.RealServers, one)
	}
	if s.ChecksSuspended = known.Suspended[v.Name]; s.ChecksSuspended {
		s.Reason = "its checks are suspended (ha_suspend) until this director is MASTER of the address; " + entriesOf(s.RealServers)
	}
	if s.ChecksSuspended { // nobody looked
		health = min(health, lvs.PoolDegraded)
	}
	s.State = map[lvs.Health]string{lvs.PoolUp: "up", lvs.PoolDegraded: "degraded", lvs.PoolDown: "down"}[health]
	return s
}

// entriesOf says how many real servers have an entry.
func entriesOf(servers []status.RealServer) string {
	entries := 0
	for _, r := range servers {
		if r.Weight > 0 {
			entries++
		}
	}
	return fmt.Sprintf("%d of %d real servers have an entry in the table", entries, len(servers))
}

// severalOf returns the addresses and the ports of a virtual server that has several of either.
func severalOf(v config.VirtualServer) (addresses []string, ports []int) {
	for one := range v.Endpoints() {
		if a := one.Address.String(); !slices.Contains(addresses, a) {
			addresses = append(addresses, a)
		}
		if p := int(one.Port); !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return addresses, ports
}

// member is what the services of a virtual server have of one real server. entry is nil if one of them has none.
type member struct {
	standing lvs.Standing
	entry    *lvs.Server
	seen     bool
}

// addMembers adds the entries of one service: the smallest weight and the sum of the connections count.
func addMembers(all []member, one config.VirtualServer, pool []lvs.Standing, have lvs.Service) {
	entries := make(map[netip.AddrPort]*lvs.Server, len(have.Servers))
	for i := range have.Servers {
		entries[have.Servers[i].AddrPort()] = &have.Servers[i]
	}
	for i, r := range one.RealServers {
		m, entry := &all[i], entries[netip.AddrPortFrom(r.Address, r.Port)]
		switch {
		case !m.seen:
			*m = member{pool[i], entry, true}
			continue
		case entry == nil:
			m.entry = nil
		case m.entry != nil:
			sum := *m.entry
			sum.Weight = min(sum.Weight, entry.Weight)
			sum.ActiveConnections += entry.ActiveConnections
			sum.InactiveConnections += entry.InactiveConnections
			m.entry = &sum
		}
		m.standing = min(m.standing, pool[i])
	}
}

// realServerStatus returns the status of a real server; entry is its entry in the table, nil if it has none.
func realServerStatus(v config.VirtualServer, r config.RealServer, verdict health.Verdict, standing lvs.Standing, entry *lvs.Server) status.RealServer {
	s := status.RealServer{
		Name: r.Name, Address: r.Address.String(), Port: int(r.Port), ConfiguredWeight: r.Weight, Role: string(r.Role),
		State: word(verdict), Code: string(verdict.Code), Checked: verdict.Code != "", Up: verdict.Known && verdict.Up, Reason: verdict.Reason, Since: verdict.Since,
	}
	if s.Forward = string(v.ForwardTo(r)); v.ForwardTo(r) == config.TUN {
		s.Tunnel = r.Tunnel.String()
	}
	switch standing {
	case lvs.Draining:
		s.State, s.Reason = "draining", "draining: the weight is 0; "+strings.TrimPrefix(verdict.Reason, "up: ")
	case lvs.Disabled:
		s.State, s.Reason = "disabled", "disabled; "+verdict.Reason
	case lvs.Full:
		if verdict.Up && !verdict.Full && entry != nil {
			s.Reason += fmt.Sprintf("; takes no connections: it has %d, and its upper_threshold is %d", entry.ActiveConnections+entry.InactiveConnections, r.UpperThreshold)
		}
	case lvs.Reserved:
		s.Reason += "; takes no connections: " + reserveText(v, r)
	case lvs.Down:
		if entry != nil && entry.Weight > 0 && v.PanicThreshold > 0 {
			s.Reason += "; it still gets connections, because too few real servers are up (panic_threshold)"
		}
	case lvs.Pending:
		s.Reason += "; takes no connections: " + lvs.Pending.String()
	}
	if entry != nil {
		s.Weight, s.ActiveConnections, s.InactiveConnections = entry.Weight, entry.ActiveConnections, entry.InactiveConnections
	}
	return s
}

// reserveText says why a real server that could take connections does not.
func reserveText(v config.VirtualServer, r config.RealServer) string {
	switch {
	case r.Role == config.Sorry:
		return "it is a sorry server, and the real servers have them"
	case r.Role == config.Standby:
		return "it is a standby server, and others have them"
	case !v.Has(config.Sorry):
		return "the standby servers have them"
	case !v.Has(config.Standby):
		return "the quorum is lost, and a sorry server has them"
	}
	return "standby or sorry servers have them"
}

// word is the state of a subject according to its checks alone.
func word(v health.Verdict) string {
	switch {
	case !v.Known:
		return "unknown"
	case v.Up:
		return "up"
	default:
		return "down"
	}
}

// unreachable returns the problems of virtual servers whose real servers this director has no way to.
func unreachable(p plan.Plan) []problem.Finding {
	var found []problem.Finding
	for _, name := range p.Unreachable() {
		found = append(found, problem.Finding{
			Code: problem.ServersUnreachable, Subject: name,
			Text: name + ": this director has no way to its real servers: check its interfaces, addresses, routes and packet filter",
		})
	}
	return found
}

// allFail returns the problem that all checks began to fail at once, which explains those of the single virtual servers.
func allFail(p plan.Plan) []problem.Finding {
	count, since := p.AllFail()
	if count == 0 {
		return nil
	}
	text := fmt.Sprintf("all %d checks fail", count)
	if !since.IsZero() {
		text += " since " + since.Local().Format("15:04:05")
	}
	return []problem.Finding{{Code: problem.AllChecksFail, Text: text + ", and began to at the same time: look at the network of this machine"}}
}
