package director

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
)

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
