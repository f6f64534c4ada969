package director

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/problem/problemtest"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// codesFile is the cluster file of the cases: one instance, one virtual server, one track.
var codesFile = electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two)

// codesCase is a case on the MASTER, the BACKUP or both.
type codesCase struct {
	problemtest.Case[*node]
	// On is "MASTER" or "BACKUP" if only that node can see the problem; "" for both.
	On string
	// File is a cluster file other than codesFile.
	File string
	// Before prepares the machine before the start.
	Before func(n *node)
	// Starting: the fault concerns the start, which Break does.
	Starting bool
	// Slower is by how much all adverts are slower than one every 100 ms; 0 means 1.
	Slower int
}

// codesCases has a case for every declared code of the director. A new code needs one. Faults are on the fake kernel
// (fake_test.go), which shows them as the kernel does; if that is not possible, name a scenario.
func codesCases() []codesCase {
	return slices.Concat(serviceCases(), answersCases(), machineCases(), checkCases(), neighbourCases(), routerCases(), bfdCases(), syncGroupCases(), trackCases(), trackedCases(), hookCases(), nodeCases(), routingCases(), vipFilterCases(), markCases(), sourceNATCases(), returnPathCases(), quietCases(), toNobodyCases(), connectionSyncCases(), exchangeCases(), takeOverCases(), handoverCases(), overrideCases(), poolCases(), maintenanceCases())
}

func serviceCases() []codesCase {
	return []codesCase{
		{Case: problemtest.Case[*node]{
			Code: problem.InstanceFault, Subject: "a", Fault: "no carrier",
			Break: func(n *node) { n.carrier(false) },
			Mend:  func(n *node) { n.carrier(true) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.InstanceFault, Subject: "a", Fault: "no address", Unready: true,
			Break: func(n *node) { n.ownAddress(false) },
			Mend:  func(n *node) { n.ownAddress(true) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.InstanceFault, Subject: "a", Fault: "no interface", Unready: true,
			Break: func(n *node) { n.renamed("eth0", "eth9") },
			Mend:  func(n *node) { n.renamed("eth9", "eth0") },
		}},
		{
			File: electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], tracks: [gateway]}\n" +
				"tracks:\n  - {name: gateway, address: 10.77.0.1, type: tcp, port: 80, interval: 1s}\n",
			Case: problemtest.Case[*node]{
				Code: problem.InstanceFault, Subject: "a", Fault: "a track is down",
				Break: func(n *node) { n.refuses("10.77.0.1", true) },
				Mend:  func(n *node) { n.refuses("10.77.0.1", false) },
			},
		},
		{
			File: electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], down_timer_adverts: 31, lease: 30s, interface_down_delay: 3s}\n",
			Case: problemtest.Case[*node]{
				Code: problem.CarrierLost, Subject: "a", Lasts: 2 * time.Second,
				Break: func(n *node) { n.carrier(false) },
				Mend:  func(n *node) { n.carrier(true) },
			},
		},
		{
			File: electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], dont_track_primary: true}\n",
			Case: problemtest.Case[*node]{
				Code: problem.CarrierLost, Subject: "a", Fault: "dont_track_primary",
				Break: func(n *node) { n.carrier(false) },
				Mend:  func(n *node) { n.carrier(true) },
			},
		},
		{ // a director that starts without a carrier does not also say that it hears nobody
			File:     electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], dont_track_primary: true}\n",
			Starting: true, On: "MASTER",
			Case: problemtest.Case[*node]{
				Code: problem.CarrierLost, Subject: "a", Fault: "dont_track_primary at the start", After: 2 * silentLink,
				Break: func(n *node) {
					n.carrier(false)
					n.dumb(true)
					n.begin(electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], dont_track_primary: true}\n")
				},
				Mend: func(n *node) { n.dumb(false); n.carrier(true) },
			},
		},
		{Case: problemtest.Case[*node]{
			Code: problem.StrayVIP, Subject: "eth0 " + vip + "/24",
			Break: func(n *node) { n.foreign("eth0", vip+"/24", true) },
			Mend:  func(n *node) { n.foreign("eth0", vip+"/24", false) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.StrayVIP, Subject: "lo " + vip + "/32", Fault: "on lo, and arp_ignore is 0",
			Break: func(n *node) {
				n.set("net/ipv4/conf/all/arp_ignore", "0")
				n.set("net/ipv4/conf/eth0/arp_ignore", "0")
				n.change(addr.Event{Kind: addr.LinkChanged}, func() { n.links = append(n.links, kernel.Link{Index: 1, Name: "lo", Loopback: true, Up: true}) })
				n.foreign("lo", vip+"/32", true)
			},
			Mend: func(n *node) { n.set("net/ipv4/conf/eth0/arp_ignore", "1") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.DirectorAddressMissing, Subject: "lvs-master",
			Break: func(n *node) { n.foreign("eth0", "10.77.0.9/24", true); n.ownAddress(false) },
			Mend:  func(n *node) { n.ownAddress(true); n.foreign("eth0", "10.77.0.9/24", false) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.VIPMisplaced, Subject: "a",
			Break: func(n *node) { n.change(addr.Event{Kind: addr.Resync}, func() { n.secondary = true }) },
			Mend:  func(n *node) { n.change(addr.Event{Kind: addr.Resync}, func() { n.secondary = false }) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.VIPsNotAdded, Subject: "a",
			Break: func(n *node) { n.loses() },
			Mend:  func(n *node) { n.refuse("ip addr add", nil) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.VIPsNotAdded, Subject: "a", Fault: "until another is MASTER",
			Break: func(n *node) { n.loses() },
			Mend:  func(n *node) { n.hear("peer", 10, "10.77.0.3", 51, 200) },
		}},
		{On: "MASTER", File: electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], " +
			"announcements: {refresh: 2s}}\n", Case: problemtest.Case[*node]{
			Code: problem.VIPsNotAnnounced, Subject: "a",
			Break: func(n *node) { n.refuse("announce", errors.New("no buffer space available")) },
			Mend:  func(n *node) { n.refuse("announce", nil) },
		}},
		{On: "MASTER", File: electing + "  - {name: a, interface: eth0, virtual_router_id: 51, advert_interval: 100ms, virtual_addresses: [10.77.0.100], " +
			"announcements: {conflict_check: 2s}}\n", Case: problemtest.Case[*node]{
			Code: problem.VIPClaimed, Subject: "a", Fault: "by a machine that only answers",
			Break: func(n *node) { n.answersARP(vip, "02:00:00:00:00:66") },
			Mend:  func(n *node) { n.answersARP(vip, "") },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.VIPContested, Subject: "a",
			Break: func(n *node) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.packets["deletions"] = func() { n.deletes("eth0", vip) }
			},
			Mend: func(n *node) { n.silence("deletions") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.VirtualServerDown, Subject: "mysql", Beside: []problem.Code{problem.VirtualServerDegraded},
			Break: func(n *node) { n.refuses(one, true); n.refuses(two, true) },
			Mend:  func(n *node) { n.refuses(one, false); n.refuses(two, false) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.VirtualServerDown, Subject: "mysql", Fault: "all weights are 0",
			Break: func(n *node) { n.reload(weighing(0, 0)) },
			Mend:  func(n *node) { n.reload(weighing(1, 1)) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.VirtualServerDown, Subject: "mysql", Fault: "all servers are full", Beside: []problem.Code{problem.ServerFull},
			Break: func(n *node) { n.answer(one, tooMany); n.answer(two, tooMany) },
			Mend:  func(n *node) { n.refuses(one, false); n.refuses(two, false) },
		}},
		{
			File: electing + router("a", "eth0", 51, vip) + virtualServers + balancing("mysql", vip, "dr", one, two, "10.77.0.13") +
				strings.Replace(balancing("web", vip, "dr", one), "3306", "80", 1),
			Case: problemtest.Case[*node]{
				// They do not go down and come back at exactly the same time.
				Code: problem.AllChecksFail, Beside: []problem.Code{problem.VirtualServerDown, problem.VirtualServerDegraded},
				Break: func(n *node) { n.refuses(one, true); n.refuses(two, true); n.refuses("10.77.0.13", true) },
				Mend:  func(n *node) { n.refuses(one, false); n.refuses(two, false); n.refuses("10.77.0.13", false) },
			},
		},
		{Case: problemtest.Case[*node]{
			Code: problem.ServersUnreachable, Subject: "mysql", Beside: []problem.Code{problem.InstanceFault, problem.CheckNoNetwork},
			Break: func(n *node) { n.answer(one, noRoute); n.answer(two, noRoute) },
			Mend:  func(n *node) { n.refuses(one, false); n.refuses(two, false) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.VirtualServerDegraded, Subject: "mysql",
			Break: func(n *node) { n.refuses(two, true) },
			Mend:  func(n *node) { n.refuses(two, false) },
		}},
	}
}

var tooMany = health.Result{Code: health.ServerFull, Class: health.Full, Cause: "mysql: too many connections"}

func checkCases() []codesCase {
	var all []codesCase
	for code, as := range map[problem.Code]health.Result{
		problem.CheckLogin:         {Code: health.Auth, Class: health.Unknown, Cause: "mysql: access denied"},
		problem.CheckBlocked:       {Code: health.Blocked, Class: health.Unknown, Cause: "mysql: host is blocked"},
		problem.CheckSecret:        {Code: health.Secret, Class: health.Unknown, Cause: "mysql: no password file"},
		problem.CheckNoNetwork:     noRoute,
		problem.CertificateExpires: {Code: health.Expires, Class: health.Good, Cause: "tls: the certificate ends in 3 days"},
		problem.CheckLocal:         {Code: health.Local, Class: health.Unknown, Cause: "tcp: no descriptor"},
		problem.ServerFull:         tooMany,
	} {
		one := problemtest.Case[*node]{
			Code: code, Subject: "mysql/mysql2",
			Break: func(n *node) { n.answer(two, as) },
			Mend:  func(n *node) { n.refuses(two, false) },
		}
		all = append(all, codesCase{Case: one})
		one.Fault = "one of two checks is needed"
		all = append(all, codesCase{Case: one, File: anyCheck})
	}
	return all
}

// anyCheck is codesFile with two checks, of which one must pass.
var anyCheck = strings.ReplaceAll(codesFile, "checks: [{type: tcp, interval: 1s}]", "checks_needed: 1, checks: [{type: tcp, interval: 1s}, {type: tcp, port: 3307, interval: 1s}]")

func neighbourCases() []codesCase {
	return []codesCase{
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.AdvertsLate, Subject: "a",
			Break: func(n *node) { n.sending(50*time.Millisecond, nil) },
			Mend:  func(n *node) { n.sending(0, nil) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.AdvertsNotSent, Subject: "a",
			Break: func(n *node) { n.sending(0, errors.New("operation not permitted")) },
			Mend:  func(n *node) { n.sending(0, nil) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.AdvertsNotSent, Subject: "a", Fault: "until another is MASTER",
			Break: func(n *node) { n.sending(0, errors.New("operation not permitted")) },
			Mend:  func(n *node) { n.hear("peer", 10, "10.77.0.3", 51, 200) },
		}},
		{On: "MASTER", Starting: true, Case: problemtest.Case[*node]{ // a BACKUP hears the MASTER
			Code: problem.LinkSilent, Subject: "a",
			Break: func(n *node) { n.dumb(true); n.begin(codesFile) },
			Mend:  func(n *node) { n.dumb(false) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.LinkSilent, Subject: "a", Fault: "after the link came up again",
			Break: func(n *node) { n.dumb(true); n.carrier(false); n.pass(time.Second); n.carrier(true) },
			Mend:  func(n *node) { n.dumb(false) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.OwnPackets, Subject: "a",
			Break: func(n *node) { n.hear("loop", 10, "10.77.0.2", 51, 100) },
			Mend:  func(n *node) { n.silence("loop") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.UnknownMaster, Subject: "a",
			// A MASTER of lower priority gives way to it.
			Break: func(n *node) { n.hear("peer", 10, "10.77.0.66", 51, 250) },
			Mend:  func(n *node) { n.silence("peer") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.PacketFlood, Subject: "a", Fault: "for an instance", Beside: []problem.Code{problem.AdvertsRefused},
			Break: func(n *node) { n.flood("10.77.0.66", 51) },
			Mend:  func(n *node) { n.silence("flood") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.PacketFlood, Subject: "eth0", Fault: "for no instance",
			Break: func(n *node) { n.flood("10.77.0.66", 77) },
			Mend:  func(n *node) { n.silence("flood") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.SocketUnavailable, Subject: "eth0",
			Break: func(n *node) {
				n.refuse("open eth0", errors.New("no buffers"))
				_ = n.socket().Close()
			},
			Mend: func(n *node) { n.refuse("open eth0", nil) },
		}},
	}
}

// routerCases are the cases of adverts that another router sends.
func routerCases() []codesCase {
	foreign, local := netip.MustParseAddr("10.77.0.200"), netip.MustParseAddr(vip)
	packet := func(version, vrid, priority uint8, vips ...netip.Addr) vrrp.Packet {
		interval := 100 * time.Millisecond
		if version == 2 {
			interval = time.Second
		}
		return vrrp.Packet{Version: version, VRID: vrid, Priority: priority, Interval: interval, Addresses: vips}
	}
	// An advert that the directors refuse does not follow theirs.
	refused := func(fault, from string, p vrrp.Packet) codesCase {
		every := int(p.Interval / (10 * time.Millisecond))
		return codesCase{Case: problemtest.Case[*node]{
			Code: problem.AdvertsRefused, Subject: "a", Fault: fault,
			Break: func(n *node) { n.deliver("refused", every, 1, p, from) },
			Mend:  func(n *node) { n.silence("refused") },
		}}
	}
	heard := func(code problem.Code, on, fault, from string, p vrrp.Packet) codesCase {
		return codesCase{On: on, Case: problemtest.Case[*node]{
			Code: code, Subject: "a", Fault: fault,
			Break: func(n *node) { n.deliver("router", 10, 1, p, from) },
			Mend:  func(n *node) { n.silence("router") },
		}}
	}
	return []codesCase{
		refused("of a director", "10.77.0.3", packet(2, 51, 50, local)),
		refused("of another machine", "10.77.0.66", packet(2, 51, 200, local)),
		heard(problem.TwoMasters, "MASTER", "", "10.77.0.3", packet(3, 51, 50, local)),
		heard(problem.UnknownRouter, "", "other VIPs", "10.77.0.66", packet(3, 51, 120, foreign)),
		heard(problem.UnknownRouter, "BACKUP", "our VIP", "10.77.0.66", packet(3, 51, 120, local)),
		heard(problem.VIPsElsewhere, "", "", "10.77.0.66", packet(3, 52, 100, local)),
		{On: "BACKUP", Case: problemtest.Case[*node]{
			Code: problem.VIPsNotHeld, Subject: "a",
			Break: func(n *node) { n.deliver("peer", 10, 1, packet(3, 51, 200, foreign), "10.77.0.3") },
			Mend:  func(n *node) { n.hear("peer", 10, "10.77.0.3", 51, 200) },
		}},
		{On: "BACKUP", Case: problemtest.Case[*node]{
			Code: problem.VIPListsDiffer, Subject: "a",
			Break: func(n *node) { n.deliver("peer", 10, 1, packet(3, 51, 200, local, foreign), "10.77.0.3") },
			Mend:  func(n *node) { n.hear("peer", 10, "10.77.0.3", 51, 200) },
		}},
		{On: "MASTER", Case: problemtest.Case[*node]{
			Code: problem.VIPClaimed, Subject: "a",
			Break: func(n *node) { n.claim(vip, "02:00:00:00:00:66") },
			Mend:  func(n *node) { n.claim(vip, "") },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.PacketsInvalid, Subject: "a",
			Break: func(n *node) { n.corrupt("router", packet(3, 51, 100, local), "10.77.0.3") },
			Mend:  func(n *node) { n.silence("router") },
		}},
	}
}

func nodeCases() []codesCase {
	return []codesCase{
		{Case: problemtest.Case[*node]{
			Code: problem.LoopStalled, After: heartbeat.StalledAfter, Beside: []problem.Code{problem.VirtualServerDown, problem.InstanceFault},
			Break: func(n *node) { n.hang(); n.emptied() },
			Mend:  func(n *node) { n.goOn() },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.InterfacesUnreadable, Fault: "interfaces",
			Break: func(n *node) { n.refuse("links", errors.New("no buffers")) },
			Mend:  func(n *node) { n.refuse("links", nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.InterfacesUnreadable, Fault: "addresses",
			Break: func(n *node) { n.refuse("list", errors.New("no buffers")) },
			Mend:  func(n *node) { n.refuse("list", nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.SysctlsWrong,
			Break: func(n *node) {
				n.refuse("sysctl", errors.New("read-only"))
				n.sysctl("net/ipv4/vs/expire_nodest_conn", "0")
			},
			Mend: func(n *node) { n.refuse("sysctl", nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code: problem.TableWrong, Beside: []problem.Code{problem.VirtualServerDown},
			Break: func(n *node) { n.refuse("ipvsadm", errors.New("no buffers")); n.emptied() },
			Mend:  func(n *node) { n.refuse("ipvsadm", nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code:  problem.TableUnreadable,
			Break: func(n *node) { n.refuse("services", errors.New("no /proc")) },
			Mend:  func(n *node) { n.refuse("services", nil) },
		}},
		{Case: problemtest.Case[*node]{
			Code:  problem.StateNotSaved,
			Break: func(n *node) { n.stateFile(false) },
			Mend:  func(n *node) { n.stateFile(true) },
		}},
		{Starting: true, Case: problemtest.Case[*node]{ // and the daemon starts
			Code: problem.KernelLacks, Subject: "mysql",
			Break: func(n *node) {
				n.refuse("feature "+kernel.FeatureSCTP, errors.New("absent"))
				n.begin(strings.ReplaceAll(codesFile, "port: 3306,", "port: 3306, protocol: sctp,"))
			},
			Mend: func(n *node) { n.reload(codesFile) },
		}},
		{Starting: true, Case: problemtest.Case[*node]{
			Code:  problem.DaemonStarting,
			Break: func(n *node) { n.hang(); n.begin(codesFile) },
			Mend:  func(n *node) { n.goOn(); n.pass(time.Second) }, // until it is MASTER
			Lasts: 4 * time.Second,                                 // elections wait for the table for at most 5 s
		}},
	}
}

// TestProblemCodes breaks each thing on a MASTER and on a BACKUP: each problem code appears on the right node within 5 s
// or three intervals, stays, and goes away likewise after the repair.
func TestProblemCodes(t *testing.T) {
	var cases []problemtest.Case[*node]
	for _, c := range codesCases() {
		cases = append(cases, c.Case)
	}
	problemtest.Complete(t, problem.Director, "pkg/director/codes_test.go", cases)
	for _, c := range append(codesCases(), slowly()...) {
		for _, state := range []string{"MASTER", "BACKUP"} {
			if c.Scenario == "" && (c.On == "" || c.On == state) {
				t.Run(c.Name()+"/"+state, func(t *testing.T) { c.try(t, state) })
			}
		}
		if c.Scenario != "" {
			problemtest.InScenario(t, "../../e2e", c.Scenario, c.Code)
		}
	}
}

// slowly returns the cases that adverts detect, with three intervals longer than 5 s.
func slowly() (all []codesCase) {
	for _, c := range slices.Concat(neighbourCases(), routerCases()) {
		switch c.Code {
		case problem.PacketFlood, problem.SocketUnavailable, problem.PacketsInvalid, problem.AdvertsRefused:
			continue
		}
		c.Slower, c.Interval = 20, 2*time.Second
		c.Fault = strings.TrimSpace(c.Fault + " slow")
		c.File = strings.ReplaceAll(codesFile, "advert_interval: 100ms", "advert_interval: 2s")
		all = append(all, c)
	}
	return all
}

func (c codesCase) try(t *testing.T, state string) {
	world(t, func(t *testing.T, m *machine) {
		n := newNode(m)
		n.slower = max(c.Slower, 1)
		defer func() { n.goOn(); n.end() }()
		if c.Before != nil {
			c.Before(n)
		}
		if state == "BACKUP" {
			n.hear("peer", 10, "10.77.0.3", 51, 200)
		}
		if !c.Starting {
			file := c.File
			if file == "" {
				file = codesFile
			}
			m.begin(file)
			m.pass(5*time.Second + 3*c.Interval)
			if got := m.state("a"); got != state {
				t.Fatalf("%s (%s), want %s", got, m.reason("a"), state)
			}
			if found := m.Status().ProblemDetails; len(found) > 0 {
				t.Fatalf("a healthy %s has problems: %+v", state, found)
			}
		}
		c.Try(t, n, func() []problem.Problem { return m.Status().ProblemDetails }, m.pass)
		if c.Starting {
			return
		}
		raised := 0
		for _, e := range m.happened() {
			if e == fmt.Sprintf("problem_raised %s: -> %s %s", c.Subject, problem.Declared().Severity(c.Code), c.Code) {
				raised++
			}
		}
		if c.Subject != "" && raised != 1 {
			t.Errorf("the problem is recorded %d times as raised", raised)
		}
	})
}
