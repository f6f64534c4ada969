package director

import (
	"context"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

const (
	// hopsAsked is the number of real servers of a virtual server, outside of this machine's networks, whose routes are looked up.
	hopsAsked = 8
	// routersAsked is the number of real servers of which one look finds out, all at once, whether they are behind a router, and
	// routerWithin how long a router may take to say so.
	routersAsked, routerWithin = 8, 200 * time.Millisecond
	// routerAgain is when that is found out again, and routerKnown how long a router counts that says nothing any more: routers
	// limit how many errors they send.
	routerAgain, routerKnown = time.Minute, 5 * time.Minute
)

// A distantServer is what is known of the way to a real server by another machine. That is not always a router: the server's
// address may be one of its own.
type distantServer struct {
	hop    netip.Addr // the next hop of its route
	asked  time.Time  // when it was found out last; zero: never
	routed time.Time  // when a router discarded a packet on the way last; zero: never
}

// behind reports whether a router is known to be on the way.
func (d distantServer) behind() bool { return !d.routed.IsZero() && time.Since(d.routed) < routerKnown }

// routed returns the virtual servers with real servers with forward: dr behind a router, which has discarded a packet to them as
// only a router does. Only routes to addresses outside of this machine's networks are looked up: others are direct, unless a
// route for a part of the network was added.
func (m *answerMonitor) routed(ctx context.Context, p plan.Plan, l layout) []problem.Finding {
	m.askRouters(ctx, p, l)
	var all []problem.Finding
	for _, v := range p.Config.VirtualServers {
		far := distant(v, l)
		var behind []string
		for _, server := range far[:min(len(far), hopsAsked)] {
			if d := m.distant[server]; d.behind() {
				behind = append(behind, fmt.Sprintf("%s (through %s)", server, d.hop))
			}
		}
		if len(behind) == 0 {
			continue
		}
		if more := len(far) - hopsAsked; more > 0 {
			behind = append(behind, fmt.Sprintf("and %d more that are in no network of this machine", more))
		}
		all = append(all, problem.Finding{Code: problem.ServerBehindRouter, Subject: v.Name, Text: fmt.Sprintf(
			"%s: real servers with forward: dr are behind a router, which sends the packets of clients back: %s", v.Name, strings.Join(behind, ", "))})
	}
	return all
}

// askRouters looks up the routes to real servers outside of this machine's networks, and finds out of some whether a router is on
// the way.
func (m *answerMonitor) askRouters(ctx context.Context, p plan.Plan, l layout) {
	known, due := map[netip.Addr]distantServer{}, []netip.Addr(nil)
	for _, v := range p.Config.VirtualServers {
		far := distant(v, l)
		for _, server := range far[:min(len(far), hopsAsked)] {
			if _, is := known[server]; is {
				continue
			}
			m.heart.Beat()
			hop, _ := m.kernel.NextHop(server) // unknown is not behind a router
			if !hop.IsValid() {
				continue
			}
			d := m.distant[server]
			if d.hop != hop {
				d = distantServer{hop: hop}
			}
			known[server] = d
			if d.asked.IsZero() || time.Since(d.asked) >= routerAgain {
				due = append(due, server)
			}
		}
	}
	m.distant = known
	slices.SortStableFunc(due, func(a, b netip.Addr) int { return known[a].asked.Compare(known[b].asked) })
	due = due[:min(len(due), routersAsked)]
	ctx, cancel := context.WithTimeout(ctx, routerWithin)
	defer cancel()
	routers := make([]netip.Addr, len(due))
	var all sync.WaitGroup
	for n, server := range due {
		all.Go(func() { routers[n] = m.kernel.Router(ctx, server) })
	}
	all.Wait()
	m.heart.Beat()
	for n, server := range due {
		d := known[server]
		d.asked = time.Now()
		if routers[n].IsValid() {
			d.routed = d.asked
		}
		known[server] = d
	}
}

// distant returns the addresses of a virtual server's real servers with forward: dr that are in no network of this machine, in
// the order of the file.
func distant(v config.VirtualServer, l layout) (far []netip.Addr) {
	for _, r := range v.RealServers {
		if v.ForwardTo(r) == config.DR && l.inside(r.Address) == "" && !slices.Contains(far, r.Address) {
			far = append(far, r.Address)
		}
	}
	return far
}

// The table of connection tracking is nearly full, and full, from these shares of its maximum on, and until it has been below
// the lower ones, all in percent. Above 95 percent the kernel drops entries of connections that have ended now and then
// (gc_worker in net/netfilter/nf_conntrack_core.c), so that the number of a table that is always full moves between both.
const (
	nearlyFull, nearlyFullUntil = 90, 85
	wholeFull, wholeFullUntil   = 99, 95
)

// connectionTracking is what the kernel says about its table of connections. The zero value is that of a kernel that tracks
// none, or of an unknown table.
type connectionTracking struct{ count, most int }

func connectionTrackingOf(sysctls reconcile.SysctlKernel) (t connectionTracking) {
	number := func(name string) int {
		text, _ := sysctls.Get("net.netfilter." + name)
		n, _ := strconv.Atoi(text)
		return n
	}
	if t.most = number("nf_conntrack_max"); t.most <= 0 {
		return connectionTracking{}
	}
	t.count = number("nf_conntrack_count")
	return t
}

// percent returns how full the table is.
func (t connectionTracking) percent() int {
	if t.most == 0 {
		return 0
	}
	return t.count * 100 / t.most
}

// lostHere returns why a check that had no answer says nothing about its server: this host may have dropped the first packet of
// its connection. "" if it has not.
func (t connectionTracking) lostHere() string {
	if t.percent() < wholeFullUntil {
		return ""
	}
	return fmt.Sprintf("connection tracking of this director is full (%d of %d) and drops packets of new connections", t.count, t.most)
}

// tracked returns the problem of a full table of connection tracking.
func (m *answerMonitor) tracked() []problem.Finding {
	t := connectionTrackingOf(m.kernel.Sysctls())
	had := func(code problem.Code) bool {
		return slices.ContainsFunc(m.Findings(), func(f problem.Finding) bool { return f.Code == code })
	}
	f := problem.Finding{
		Text:   fmt.Sprintf("connection tracking remembers %d connections, of %d at most (net.netfilter.nf_conntrack_max)", t.count, t.most),
		Remedy: fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, and the same in /etc/sysctl.d; or exempt the packets of VIPs from connection tracking, as the quick start does", 2*t.most),
		Fix:    []problem.Setting{{Key: "net.netfilter.nf_conntrack_max", Value: strconv.Itoa(2 * t.most)}},
	}
	switch percent := t.percent(); {
	case percent >= wholeFull, percent >= wholeFullUntil && had(problem.ConntrackFull):
		f.Code = problem.ConntrackFull
	case percent >= nearlyFull, percent >= nearlyFullUntil && (had(problem.ConntrackNearlyFull) || had(problem.ConntrackFull)):
		f.Code = problem.ConntrackNearlyFull
	default:
		return nil
	}
	return []problem.Finding{f}
}

const (
	// listLength is the average number of connections in a bucket above which the table is too small.
	listLength = 16
	// bucketBits is the largest exponent that every kernel takes for the number of buckets (net/netfilter/ipvs/ip_vs_conn.c).
	bucketBits = 20
)

// crowded returns the problem of a hash table of IPVS with few buckets for the connections that the table loop has counted.
func (m *answerMonitor) crowded(ctx context.Context) []problem.Finding {
	connections := 0
	for _, service := range m.table().Services {
		for _, server := range service.Servers {
			connections += server.ActiveConnections + server.InactiveConnections
		}
	}
	if connections <= listLength<<8 { // 256 buckets is the least that a kernel has
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, kernelWithin)
	defer cancel()
	m.heart.Beat()
	buckets, err := m.kernel.ConnectionBuckets(ctx)
	m.heart.Beat()
	if err != nil || buckets <= 0 || buckets >= 1<<bucketBits || connections <= listLength*buckets {
		return nil
	}
	return []problem.Finding{{
		Code:   problem.ConnectionTableSmall,
		Text:   fmt.Sprintf("IPVS has about %d connections in %d buckets: it searches a list of %d for each packet", connections, buckets, connections/buckets),
		Remedy: fmt.Sprintf("options ip_vs conn_tab_bits=%d: this line in /etc/modprobe.d/ip_vs.conf counts when the module is loaded; reboot the directors one after the other, the BACKUP first", min(bits.Len(uint(connections)), bucketBits)),
	}}
}

// forgetful returns the problem of a setting with which IPVS always removes entries of connections, ip_vs_random_dropentry in
// net/netfilter/ipvs/ip_vs_conn.c.
func (m *answerMonitor) forgetful() []problem.Finding {
	const key, always = "net.ipv4.vs.drop_entry", "3"
	if value, _ := m.kernel.Sysctls().Get(key); value != always {
		return nil
	}
	return []problem.Finding{{
		Code: problem.EntriesDropped, Text: "IPVS removes entries of connections at random, because " + key + " is " + always,
		Remedy: "sysctl -w " + key + "=0", Fix: []problem.Setting{{Key: key, Value: "0"}},
	}}
}
