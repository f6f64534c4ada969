package director

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"

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

// virtualServerStatus returns the state of a pool.
func virtualServerStatus(v config.VirtualServer, verdicts plan.Verdicts, table lvs.Table) status.VirtualServer {
	s := status.VirtualServer{
		Name: v.Name, Address: v.Address.String(), Port: int(v.Port), Protocol: v.Protocol, Scheduler: v.Scheduler,
		Forward: string(v.Forward), RealServers: make([]status.RealServer, 0, len(v.RealServers)),
	}
	pool := lvs.Standings(v, plan.Table{Verdicts: verdicts}.Condition, table)
	entries := make(map[netip.AddrPort]*lvs.Server, len(table.Have.Servers))
	for i := range table.Have.Servers {
		entries[table.Have.Servers[i].AddrPort()] = &table.Have.Servers[i]
	}
	for i, r := range v.RealServers {
		if i%giveWayEvery == giveWayEvery-1 {
			runtime.Gosched()
		}
		verdict := verdictOf(verdicts, config.Subject{Server: config.ServerID{Service: v.Name, Server: r.Name}})
		s.RealServers = append(s.RealServers, realServerStatus(r, verdict, pool[i], entries[netip.AddrPortFrom(r.Address, r.Port)]))
	}
	health, reason := lvs.PoolHealth(pool)
	s.State, s.Reason = map[lvs.Health]string{lvs.PoolUp: "up", lvs.PoolDegraded: "degraded", lvs.PoolDown: "down"}[health], reason
	return s
}

// realServerStatus returns the status of a real server; entry is its entry in the table, nil if it has none.
func realServerStatus(r config.RealServer, verdict health.Verdict, standing lvs.Standing, entry *lvs.Server) status.RealServer {
	s := status.RealServer{
		Name: r.Name, Address: r.Address.String(), Port: int(r.Port), ConfiguredWeight: r.Weight,
		State: word(verdict), Code: string(verdict.Code), Reason: verdict.Reason, Since: verdict.Since,
	}
	switch standing {
	case lvs.Draining:
		s.State, s.Reason = "draining", "draining: the weight is 0; "+strings.TrimPrefix(verdict.Reason, "up: ")
	case lvs.Full:
		if verdict.Up && !verdict.Full && entry != nil {
			s.Reason += fmt.Sprintf("; takes no connections: it has %d, and its upper_threshold is %d", entry.ActiveConnections+entry.InactiveConnections, r.UpperThreshold)
		}
	case lvs.Pending:
		s.Reason += "; takes no connections: " + lvs.Pending.String()
	}
	if entry != nil {
		s.Weight, s.ActiveConnections, s.InactiveConnections = entry.Weight, entry.ActiveConnections, entry.InactiveConnections
	}
	return s
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
