package director

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/task"
)

// answered returns the VIPs for which this host answers ARP although they are on an interface that does not.
func (m *answerMonitor) answered(p plan.Plan, arpIgnore func(iface string) string) []problem.Finding {
	seen := m.sight()
	found := plan.Answered(p.Config, seen.links, seen.addresses, arpIgnore)
	var all []problem.Finding
	for at, by := range found {
		all = append(all, answeredVIP(at, by))
	}
	slices.SortFunc(all, func(a, b problem.Finding) int { return strings.Compare(a.Subject, b.Subject) })
	return all
}

// arpIgnore returns a function that reads the sysctl arp_ignore of an interface, once: hundreds of VIPs may be on it. Its
// result is "" if it cannot be read.
func (m *answerMonitor) arpIgnore() func(iface string) string {
	sysctls, known := m.kernel.Sysctls(), map[string]string{}
	return func(iface string) string {
		value, read := known[iface]
		if !read {
			value, _ = sysctls.Get(plan.ConfKey(iface, "arp_ignore"))
			known[iface] = value
		}
		return value
	}
}

// neverAnswers is the smallest value of arp_ignore with which an interface answers no ARP request at all (net/ipv4/arp.c).
const neverAnswers = 8

// reached returns the instances whose VIPs clients do not reach here because of a setting of the kernel: they get no ARP
// answer, or their packets are not delivered on this host.
func (m *answerMonitor) reached(ctx context.Context, p plan.Plan, arpIgnore func(iface string) string) []problem.Finding {
	var all []problem.Finding
	suspects := make([]heldVIP, 0, len(p.Config.Instances))
	for _, i := range p.Config.Instances {
		if keys := silences(i, arpIgnore); len(keys) > 0 {
			var fix []problem.Setting
			for _, key := range keys {
				fix = append(fix, problem.Setting{Key: key, Value: "1"})
			}
			all = append(all, problem.Finding{
				Code: problem.VIPNotReached, Subject: i.Name, Remedy: "sysctl -w " + strings.Join(keys, "=1 ") + "=1", Fix: fix,
				Text: fmt.Sprintf("%s: this host answers no ARP request for its VIPs, because %s is %d or more", i.Name, strings.Join(keys, " and "), neverAnswers),
			})
			continue
		}
		for _, vip := range i.Held() {
			suspects = append(suspects, heldVIP{i.Name, i.On(vip.Addr()), vip.Addr()})
		}
	}
	if suspects = m.diverted(suspects); len(suspects) > 0 {
		task.Pause(ctx, removalSeen) // they may have been removed just now
		suspects = m.diverted(suspects)
	}
	named := map[string]bool{}
	for _, s := range suspects {
		if named[s.instance] {
			continue
		}
		named[s.instance] = true
		all = append(all, problem.Finding{
			Code: problem.VIPNotReached, Subject: s.instance,
			Text:   fmt.Sprintf("%s: %s has the VIP %s, and this host does not deliver its packets: a policy rule diverts them, or its route in the table local is gone", s.instance, s.on, s.vip),
			Remedy: fmt.Sprintf("look for it with: ip rule; ip route get %s; ip route show table local %s", s.vip, s.vip),
		})
	}
	return all
}

// heldVIP is a VIP of an instance, and the interface that has it on a MASTER.
type heldVIP struct {
	instance, on string
	vip          netip.Addr
}

// diverted returns those that this host has and whose packets it does not deliver. Unknown is delivered.
func (m *answerMonitor) diverted(all []heldVIP) (some []heldVIP) {
	type at struct {
		on  string
		vip netip.Addr
	}
	has := map[at]bool{}
	for _, a := range m.sight().addresses {
		has[at{a.Interface, a.Prefix.Addr()}] = true
	}
	var held []kernel.IfAddr
	for _, v := range all {
		if has[at{v.on, v.vip}] {
			held = append(held, v.ifAddr())
		}
	}
	if len(held) == 0 {
		return nil
	}
	m.heart.Beat()
	undelivered, _ := m.kernel.Undelivered(held)
	m.heart.Beat()
	if len(undelivered) == 0 {
		return nil
	}
	for _, v := range all {
		if slices.Contains(undelivered, v.ifAddr()) {
			some = append(some, v)
		}
	}
	return some
}

func (v heldVIP) ifAddr() kernel.IfAddr {
	return kernel.IfAddr{Interface: v.on, Prefix: netip.PrefixFrom(v.vip, v.vip.BitLen())}
}

// removalSeen is longer than the time after which the watcher has seen the removal of an address.
const removalSeen = 200 * time.Millisecond

// silences returns the keys of arp_ignore that keep the interfaces of an instance's IPv4 addresses from answering.
func silences(i config.Instance, arpIgnore func(iface string) string) []string {
	var interfaces, keys []string
	for _, vip := range i.Held() {
		if on := i.On(vip.Addr()); kernel.FamilyOf(vip.Addr()) == kernel.IPv4 && !slices.Contains(interfaces, on) {
			interfaces = append(interfaces, on)
		}
	}
	if len(interfaces) > 0 {
		interfaces = append([]string{"all"}, interfaces...)
	}
	for _, name := range interfaces {
		if n, err := strconv.Atoi(arpIgnore(name)); err == nil && n >= neverAnswers {
			keys = append(keys, "net.ipv4.conf."+strings.ReplaceAll(name, ".", "/")+".arp_ignore")
		}
	}
	return keys
}

// clients returns the virtual servers whose clients this host stops or may stop: by its packet filter before or after IPVS,
// or by a setting of IPVS.
func (m *answerMonitor) clients(ctx context.Context, p plan.Plan, l layout) []problem.Finding {
	drops, _ := m.kernel.Sysctls().Get("net.ipv4.vs.drop_packet")
	told, _ := m.kernel.Sysctls().Get("net.ipv4.vs.conntrack")
	loose, _ := m.kernel.Sysctls().Get("net.netfilter.nf_conntrack_tcp_loose")
	read := m.reading(ctx)
	var all []problem.Finding
	for n, v := range p.Config.VirtualServers {
		if n%giveWayEvery == giveWayEvery-1 {
			runtime.Gosched()
		}
		rules, err := read(v.Family())
		var o obstacle
		switch {
		case err != nil:
			o = obstacle{code: problem.ClientsUnclear, text: "cannot tell whether the packet filter of this host drops the packets of clients: " + err.Error()}
		case len(rules.Bases) > 0:
			o, v = worst(v, func(one config.VirtualServer) obstacle {
				return stopped(rules, one, packets(one, l, told == "1", loose == "0"))
			})
		}
		if o.code != problem.ClientsBlocked && (drops == "2" || drops == "3") {
			o = obstacle{
				code: problem.ClientsBlocked, text: "IPVS drops some packets of clients, because net.ipv4.vs.drop_packet is " + drops,
				remedy: "sysctl -w net.ipv4.vs.drop_packet=0", fix: problem.Setting{Key: "net.ipv4.vs.drop_packet", Value: "0"},
			}
		}
		if o.text == "" {
			continue
		}
		if o.remedy == "" {
			o.remedy = tryIt(v)
		}
		all = append(all, problem.Finding{Code: o.code, Subject: v.Name, Remedy: o.remedy, Fix: o.fixes(), Text: v.Name + ": " + o.text})
	}
	return all
}

// worst returns what stops or may stop the clients of a virtual server at any of its addresses and ports, and where.
func worst(v config.VirtualServer, judge func(config.VirtualServer) obstacle) (obstacle, config.VirtualServer) {
	found, at := obstacle{}, v
	for one := range v.Endpoints() {
		one = representative(one)
		runtime.Gosched()
		o := judge(one)
		if o.code != "" && (v.Several() || v.Marked != nil) {
			o.text += fmt.Sprintf(" (%s)", netip.AddrPortFrom(one.Address, one.Port))
		}
		if o.code == problem.ClientsBlocked {
			return o, one
		}
		if found.code == "" || found.code == problem.EndsBlocked && o.code != "" {
			found, at = o, one
		}
	}
	return found, at
}

// representative returns a virtual server of every port with the port that is checked, which stands for all of them.
func representative(v config.VirtualServer) config.VirtualServer {
	if v.Port != 0 || len(v.RealServers) == 0 {
		return v
	}
	v.RealServers = slices.Clone(v.RealServers)
	for i, r := range v.RealServers {
		for _, c := range r.Checks {
			v.Port = cmp.Or(v.Port, c.Port)
			v.RealServers[i].Port = cmp.Or(v.RealServers[i].Port, c.Port)
		}
	}
	return v
}

// tryIt is the command that shows whether a virtual server serves a client.
func tryIt(v config.VirtualServer) string {
	if v.Mark != 0 {
		return "try it from a client"
	}
	if v.Protocol != "tcp" {
		return fmt.Sprintf("try it from a client: ask it what its clients ask it, at %s, port %d", v.Address, v.Port)
	}
	return fmt.Sprintf("try it from a client: nc -vz %s %d (it says open if the answers pass)", v.Address, v.Port)
}

// way is the packet of a client that arrives, and those that IPVS sends on, with the first real server that gets each.
type way struct {
	arriving firewall.Packet
	leaving  map[firewall.Packet]string
	order    []firewall.Packet
}

// packets returns the packets of a virtual server's clients. tracked: IPVS tells connection tracking about its connections.
// strict: that takes up no connections in the middle.
func packets(v config.VirtualServer, l layout, tracked, strict bool) way {
	w := way{leaving: map[firewall.Packet]string{}, arriving: firewall.Packet{
		Way: firewall.Incoming, In: l.outside(v.Address), To: netip.AddrPortFrom(v.Address, v.Port), Protocol: v.Protocol,
		Later: later(v, tracked, strict),
	}}
	for _, r := range v.RealServers {
		p := firewall.Packet{
			Way: firewall.Outgoing, Out: l.inside(r.Address), To: w.arriving.To, Protocol: v.Protocol, Untracked: !tracked,
		}
		switch forward := v.ForwardTo(r); {
		case forward == config.NAT:
			p.To = netip.AddrPortFrom(r.Address, r.Port)
		case forward == config.TUN && kernel.FamilyOf(r.Address) != kernel.FamilyOf(v.Address):
			continue // it passes the rules of the other family
		case forward == config.TUN && r.Tunnel.Type == config.GUE:
			p.To, p.Protocol = netip.AddrPortFrom(r.Address, r.Tunnel.Port), "udp"
		case forward == config.TUN && r.Tunnel.Type == config.GRE:
			p.To, p.Protocol = netip.AddrPortFrom(r.Address, 0), "gre"
		case forward == config.TUN:
			p.To, p.Protocol = netip.AddrPortFrom(r.Address, 0), outer(v.Address)
		}
		if _, known := w.leaving[p]; !known {
			w.leaving[p] = r.Name
			w.order = append(w.order, p)
		}
	}
	return w
}

// outer is the protocol of a tunnel for the packets to an address.
func outer(vip netip.Addr) string {
	if kernel.FamilyOf(vip) == kernel.IPv6 {
		return "ipv6"
	}
	return "ipip"
}

// stopped returns what stops or may stop the clients of a virtual server; the zero obstacle if nothing does. The packets that
// IPVS sends on pass through the chain OUTPUT.
func stopped(rules firewall.Rules, v config.VirtualServer, w way) obstacle {
	arriving := rules.Judge(w.arriving)
	worst := hindrance(rules, w.arriving, arriving, "")
	if arriving.Outcome == firewall.Blocked {
		return worst
	}
	switch verdict := rules.Redirected(w.arriving); verdict.Outcome {
	case firewall.Blocked:
		return obstacle{
			code: problem.ClientsBlocked, text: "a rule of this host sends the packets of clients elsewhere before IPVS sees them: " + verdict.Why,
			remedy: fmt.Sprintf("exempt the VIP %s from this rule, or delete it", v.Address),
		}
	case firewall.Unclear:
		if arriving.Outcome < firewall.Unclear {
			worst = obstacle{code: problem.ClientsUnclear, text: "cannot tell whether a rule of this host sends the packets of clients elsewhere before IPVS sees them: " + verdict.Why}
			arriving.Outcome = firewall.Unclear
		}
	}
	if len(v.SNATClients) > 0 && rules.Exempts(w.arriving) {
		return obstacle{
			code: problem.ClientsBlocked, text: "a rule of this host exempts the packets of clients from connection tracking, without which snat_clients replaces no address",
			remedy: fmt.Sprintf("delete the rule with NOTRACK or notrack for %s", netip.AddrPortFrom(v.Address, v.Port)),
		}
	}
	most := arriving.Outcome
	for _, p := range w.order {
		if verdict := rules.Judge(p); verdict.Outcome > most {
			most, worst = verdict.Outcome, hindrance(rules, p, verdict, " on their way to "+w.leaving[p])
		}
	}
	if most == firewall.Passes {
		return endless(rules, v, w.arriving)
	}
	return worst
}

// endless returns what keeps clients from ending connections; the zero obstacle if nothing does.
func endless(rules firewall.Rules, v config.VirtualServer, p firewall.Packet) obstacle {
	verdict := rules.Ends(p)
	if verdict.Outcome != firewall.Blocked {
		return obstacle{}
	}
	o := obstacle{code: problem.EndsBlocked, text: "the packet filter of this host drops the packets with which clients end connections, so the real servers keep these: " + verdict.Why}
	switch directly := v.Forwards(config.DR) || v.Forwards(config.TUN); {
	case !v.Forwards(config.NAT):
		p.Later = "INVALID" // which the remedy is for
		o.remedy = rules.Remedy(p, verdict)
	case !directly: // without tracking, rules of FORWARD could not accept the answers
		o.remedy = "sysctl -w net.ipv4.vs.conntrack=1, so that connection tracking knows the connections of clients (and in /etc/sysctl.d)"
		o.fix = problem.Setting{Key: "net.ipv4.vs.conntrack", Value: "1"}
	default:
		o.remedy = fmt.Sprintf("before that rule, accept the packets to %s, port %d, whatever their state", v.Address, v.Port)
	}
	return o
}

// hindrance returns what a verdict says about the packets of clients.
func hindrance(rules firewall.Rules, p firewall.Packet, verdict firewall.Verdict, where string) obstacle {
	switch verdict.Outcome {
	case firewall.Blocked:
		return obstacle{code: problem.ClientsBlocked, text: "the packet filter of this host drops the packets of clients" + where + ": " + verdict.Why, remedy: rules.Remedy(p, verdict)}
	case firewall.Unclear:
		return obstacle{code: problem.ClientsUnclear, text: "cannot tell whether the packet filter of this host drops the packets of clients" + where + ": " + verdict.Why}
	case firewall.Limited:
		return obstacle{code: problem.ClientsLimited, text: "the packet filter of this host drops packets of clients" + where + " above a limit: " + verdict.Why, remedy: rules.Remedy(p, verdict)}
	}
	return obstacle{}
}

// later is the state of the packets of clients after the first one. Connection tracking does not see the answers, unless
// all of them are those of forward: nat, and forgets the packets that IPVS takes, unless IPVS tells it about its connections. It
// takes up connections in the middle unless it is strict.
func later(v config.VirtualServer, told, strict bool) string {
	switch {
	case told && !v.Forwards(config.DR) && !v.Forwards(config.TUN):
		return ""
	case told, strict:
		return "INVALID"
	default:
		return "NEW"
	}
}
