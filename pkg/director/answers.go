package director

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/task"
)

const (
	// answersEvery is how often the way of packets is judged.
	answersEvery = 3 * time.Second
	// answersShare is the ratio of the pause to the duration of a judgement: a host may have thousands of rules.
	answersShare = 20
)

// answerMonitor judges whether this host would accept the packets of clients, which IPVS takes after the chain INPUT, and
// forward the answers of real servers with forward: nat. The packet filter sees those in the chain FORWARD, with the real
// server's address as source, because IPVS rewrites them later. It also finds VIPs for which this host answers ARP because
// of arp_ignore, which has no events, real servers behind a router, and tables of connections that are full or small. It only
// reads.
type answerMonitor struct {
	kernel  Kernel
	filter  *packetFilter
	plan    func() plan.Plan
	sight   func() sight
	unset   func() string // why a sysctl does not have its value; "" if all have
	table   func() tableState
	changed func() // called when the problems have changed
	ready   task.Latch
	found   atomic.Pointer[[]problem.Finding]
	heart   *heartbeat.Signal            // owned by Run
	distant map[netip.Addr]distantServer // likewise; by address
}

// Name implements task.Task.
func (m *answerMonitor) Name() string { return "the monitor of the packet filter" }

// Ready is closed when the monitor is running.
func (m *answerMonitor) Ready() <-chan struct{} { return m.ready.Ready() }

// Findings returns the problems that were found last.
func (m *answerMonitor) Findings() []problem.Finding {
	if found := m.found.Load(); found != nil {
		return *found
	}
	return nil
}

// Run judges until ctx ends.
func (m *answerMonitor) Run(ctx context.Context) error {
	m.heart = heartbeat.From(ctx)
	m.ready.Close()
	for ctx.Err() == nil {
		m.heart.Beat()
		begun := time.Now()
		found := m.look(ctx)
		if ctx.Err() != nil {
			break
		}
		if before := m.Findings(); !slices.EqualFunc(before, found, func(a, b problem.Finding) bool { return a.Code == b.Code && a.Text == b.Text }) {
			m.found.Store(&found)
			m.changed()
		}
		end := time.Now()
		for next := end.Add(max(heartbeat.Until(end, answersEvery), answersShare*end.Sub(begun))); ctx.Err() == nil; {
			now := time.Now()
			if !now.Before(next) {
				break
			}
			m.heart.Beat()
			task.Pause(ctx, min(next.Sub(now), heartbeat.Until(now, heartbeat.Every)))
		}
	}
	return nil
}

// answer is the way of the answers of one real server.
type answer struct {
	service config.VirtualServer
	server  config.RealServer
	packet  firewall.Packet
}

// answersOf returns the answers of all real servers with forward: nat.
func answersOf(p plan.Plan, l layout) []answer {
	var all []answer
	for _, v := range p.Config.VirtualServers {
		if !v.Forwards(config.NAT) {
			continue
		}
		for one := range v.Endpoints() {
			one = representative(one)
			out := l.outside(one.Address)
			for _, r := range one.RealServers {
				if v.ForwardTo(r) != config.NAT {
					continue
				}
				all = append(all, answer{v, r, firewall.Packet{
					Way: firewall.Forwarded, In: l.inside(r.Address), Out: out, From: netip.AddrPortFrom(r.Address, r.Port), Protocol: one.Protocol,
				}})
			}
		}
	}
	return all
}

// layout says by which interfaces packets enter and leave this host.
type layout struct {
	networks []kernel.Address      // of this host: its addresses without single ones, of which there may be thousands
	vips     map[netip.Addr]string // the interface of each VIP
}

func layoutOf(p plan.Plan, addresses []kernel.Address) layout {
	l := layout{vips: make(map[netip.Addr]string, len(p.Config.Instances))}
	for _, own := range addresses {
		if !own.Prefix.IsSingleIP() {
			l.networks = append(l.networks, own)
		}
	}
	for _, i := range p.Config.Instances {
		for _, vip := range i.Held() {
			if _, known := l.vips[vip.Addr()]; !known {
				l.vips[vip.Addr()] = i.On(vip.Addr())
			}
		}
	}
	return l
}

// outside returns the interface of a VIP: that of the instance that has it.
func (l layout) outside(vip netip.Addr) string {
	if on, known := l.vips[vip]; known {
		return on
	}
	return l.inside(vip)
}

// inside returns the interface whose network has an address; "" if it is behind a router.
func (l layout) inside(a netip.Addr) string { return interfaceOf(a, l.networks) }

// interfaceOf returns the interface whose network has an address; "" if it is behind a router.
func interfaceOf(a netip.Addr, addresses []kernel.Address) string {
	name, longest := "", -1
	for _, own := range addresses {
		if !own.Prefix.IsSingleIP() && own.Prefix.Contains(a) && own.Prefix.Bits() > longest {
			name, longest = own.Interface, own.Prefix.Bits()
		}
	}
	return name
}

// obstacle is what stops the answers of a real server.
type obstacle struct {
	code         problem.Code
	text, remedy string
	fix          problem.Setting // zero: none
}

// fixes returns the settings that end the problem of an obstacle.
func (o obstacle) fixes() []problem.Setting {
	if o.fix == (problem.Setting{}) {
		return nil
	}
	return []problem.Setting{o.fix}
}

func (m *answerMonitor) look(ctx context.Context) []problem.Finding {
	p := m.plan()
	if p.Config == nil {
		return nil
	}
	l := layoutOf(p, m.sight().addresses)
	arpIgnore := m.arpIgnore()
	return slices.Concat(m.answered(p, arpIgnore), m.reached(ctx, p, arpIgnore), m.clients(ctx, p, l), m.unmarked(ctx, p), m.deaf(ctx, p, l), m.answers(ctx, answersOf(p, l)),
		m.routed(ctx, p, l), m.tracked(), m.crowded(ctx), m.forgetful())
}

// rules reads the rules of a family, for reading.
func (m *answerMonitor) rules(ctx context.Context, family kernel.Family) (firewall.Rules, error) {
	defer m.heart.Beat()
	ctx, cancel := context.WithTimeout(ctx, filterWithin)
	defer cancel()
	return m.filter.rules(ctx, family)
}

// reading returns a function that reads the rules of a family once.
func (m *answerMonitor) reading(ctx context.Context) func(kernel.Family) (firewall.Rules, error) {
	type result struct {
		rules firewall.Rules
		err   error
	}
	read := map[kernel.Family]result{}
	return func(family kernel.Family) (firewall.Rules, error) {
		known, is := read[family]
		if !is {
			known.rules, known.err = m.rules(ctx, family)
			read[family] = known
		}
		return known.rules, known.err
	}
}

// answers returns the problems of the answers of real servers.
func (m *answerMonitor) answers(ctx context.Context, answers []answer) []problem.Finding {
	if len(answers) == 0 {
		return nil
	}
	judge := m.judge(ctx)
	known := map[firewall.Packet]*obstacle{}
	stopped := map[string]map[obstacle][]string{} // real servers, by virtual server and obstacle
	for n, a := range answers {
		if n%giveWayEvery == giveWayEvery-1 {
			runtime.Gosched()
		}
		o, judged := known[a.packet]
		if !judged {
			o = judge(a.packet)
			known[a.packet] = o
		}
		if o == nil {
			continue
		}
		if stopped[a.service.Name] == nil {
			stopped[a.service.Name] = map[obstacle][]string{}
		}
		one := *o
		if one.remedy == "" {
			one.remedy = tryIt(a.service)
		}
		stopped[a.service.Name][one] = append(stopped[a.service.Name][one], a.server.Name)
	}
	return reportAnswers(answers, stopped)
}

// reportAnswers returns one problem for each virtual server and code, in the order of the file.
func reportAnswers(answers []answer, stopped map[string]map[obstacle][]string) []problem.Finding {
	var found []problem.Finding
	for _, a := range answers {
		obstacles := stopped[a.service.Name]
		delete(stopped, a.service.Name)
		for _, code := range []problem.Code{problem.AnswersBlocked, problem.AnswersUnclear, problem.AnswersLimited} {
			byText := map[string]*problem.Finding{}
			for o, servers := range obstacles {
				if o.code != code {
					continue
				}
				slices.Sort(servers)
				f := problem.Finding{Code: code, Subject: a.service.Name, Remedy: o.remedy, Fix: o.fixes(), Text: fmt.Sprintf("%s: answers of %s: %s", a.service.Name, strings.Join(servers, ", "), o.text)}
				byText[f.Text] = &f
			}
			found = append(found, firstOf(byText)...)
		}
	}
	return found
}

// firstOf returns the problem with the smallest text, which tells how many others there are.
func firstOf(byText map[string]*problem.Finding) []problem.Finding {
	if len(byText) == 0 {
		return nil
	}
	texts := make([]string, 0, len(byText))
	for text := range byText {
		texts = append(texts, text)
	}
	first := *byText[slices.Min(texts)]
	if more := len(texts) - 1; more > 0 {
		first.Text += fmt.Sprintf(" (and %d more)", more)
		first.Remedy += "; likewise for the other real servers"
	}
	return []problem.Finding{first}
}

// judge reads the rules and returns a function that judges one packet; its result is nil if nothing stops the packet.
func (m *answerMonitor) judge(ctx context.Context) func(firewall.Packet) *obstacle {
	sysctls := m.kernel.Sysctls()
	value, err := sysctls.Get("net.ipv4.vs.conntrack")
	tracked := err == nil && value == "1"
	rules := m.reading(ctx)
	return func(p firewall.Packet) *obstacle {
		if o := m.routing(p, sysctls.Get); o != nil {
			return o
		}
		rules, err := rules(kernel.FamilyOf(p.From.Addr()))
		if err != nil {
			return &obstacle{code: problem.AnswersUnclear, text: "cannot tell whether this host forwards them: " + err.Error()}
		}
		p.Tracked = tracked
		switch verdict := rules.Judge(p); verdict.Outcome {
		case firewall.Blocked:
			return &obstacle{code: problem.AnswersBlocked, text: "the packet filter of this host drops them: " + verdict.Why, remedy: rules.Remedy(p, verdict)}
		case firewall.Unclear:
			return &obstacle{code: problem.AnswersUnclear, text: "cannot tell whether the packet filter of this host drops them: " + verdict.Why}
		case firewall.Limited:
			return &obstacle{code: problem.AnswersLimited, text: "the packet filter of this host drops them above a limit: " + verdict.Why, remedy: rules.Remedy(p, verdict)}
		}
		return nil
	}
}

// routing judges the sysctls of the interface on which answers arrive.
func (m *answerMonitor) routing(p firewall.Packet, get func(string) (string, error)) *obstacle {
	if p.From.Addr().Is6() {
		return nil // IPv6 has one switch for all interfaces, which the sysctl loop keeps, and no rp_filter
	}
	on, _ := get("net.ipv4.ip_forward")
	if on == "0" && m.unset() != "" { // otherwise it is set within a second
		return &obstacle{
			code: problem.AnswersBlocked, text: "net.ipv4.ip_forward is 0 and cannot be set: this host does not forward them",
			remedy: "sysctl -w net.ipv4.ip_forward=1; if /proc/sys is read-only, as in a container, set it on the host",
		}
	}
	if p.In == "" {
		return nil
	}
	read := func(iface, name string) string {
		value, _ := get(plan.ConfKey(iface, name)) // "" if it does not exist: no obstacle
		return value
	}
	show := func(iface, name string) string {
		return "net.ipv4.conf." + strings.ReplaceAll(iface, ".", "/") + "." + name
	}
	if on == "1" && read(p.In, "forwarding") == "0" {
		key := show(p.In, "forwarding")
		return &obstacle{
			code: problem.AnswersBlocked, text: key + " is 0: this host does not forward them", remedy: "sysctl -w " + key + "=1", fix: problem.Setting{Key: key, Value: "1"},
		}
	}
	if max(read("all", "rp_filter"), read(p.In, "rp_filter")) != "1" { // 2 is loose, and wins
		return nil
	}
	by, err := m.kernel.RouteInterface(p.From.Addr())
	if err != nil || by == p.In {
		return nil
	}
	return &obstacle{
		code:   problem.AnswersBlocked,
		text:   fmt.Sprintf("reverse path filtering on %s drops them, because the route to %s leaves by %s", p.In, p.From.Addr(), by),
		remedy: fmt.Sprintf("correct the route, or sysctl -w %s=2", show(p.In, "rp_filter")),
	}
}
