package realserver

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// listenInterval is how often the listening sockets are read, for which there are no events.
const listenInterval = time.Second

// listeners are the listening sockets of this node.
type listeners struct {
	looked time.Time
	all    map[string][]netip.AddrPort // what the last look found, by protocol; one that is not in it is unknown
	// missed counts, by destination, the looks in a row that found nothing listening: a service that is restarted, or a
	// list that changes while the kernel writes it, is no problem yet.
	missed map[endpoint]int
	// diverted are the VIPs whose packets the kernel does not deliver here: a policy rule diverts them, or their route in the
	// table local is gone, for which there are no events either.
	diverted map[netip.Addr]bool
	logged   bool // the last look failed, which was logged
}

// missesAllowed is the number of looks in a row without a listening socket that are not reported.
const missesAllowed = 1

// lookForListeners reads the listening sockets if that is due. Unknown is not down: without a list, nothing is reported.
func (a *Agent) lookForListeners(want State) {
	l := &a.listening
	if a.e.Listeners == nil || len(want.Memberships) == 0 || time.Since(l.looked) < listenInterval {
		return
	}
	l.looked = time.Now()
	l.diverted = a.divertedVIPs(want)
	all, err := a.listeners(want)
	if err != nil && !l.logged {
		a.o.Log.Warn("cannot list the listening sockets; not checking whether a service listens on the VIP", "error", err)
	}
	l.logged, l.all = err != nil, all
	missed := make(map[endpoint]int, len(want.Memberships))
	for _, m := range want.Memberships {
		to := m.endpoint()
		if found, known := all[to.protocol]; known && to.at.Port() != 0 && !listens(found, to.at) {
			missed[to] = l.missed[to] + 1
		}
	}
	l.missed = missed
}

// listeners returns the listening sockets of the protocols of the services, and an error about those that cannot be listed.
func (a *Agent) listeners(want State) (map[string][]netip.AddrPort, error) {
	all, failed := map[string][]netip.AddrPort{}, map[string]error{}
	for _, m := range want.Memberships {
		if _, read := all[m.Protocol]; read || failed[m.Protocol] != nil {
			continue
		}
		if found, err := a.e.Listeners(m.Protocol); err != nil {
			failed[m.Protocol] = err
		} else {
			all[m.Protocol] = found
		}
	}
	return all, errors.Join(slices.Collect(maps.Values(failed))...)
}

// endpoint is where the packets of clients arrive at a service.
type endpoint struct {
	protocol string
	at       netip.AddrPort
}

func (m Membership) endpoint() endpoint { return endpoint{m.Protocol, m.destination()} }

// divertedVIPs returns the VIPs whose packets are not delivered here; unknown is not diverted.
func (a *Agent) divertedVIPs(want State) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for _, m := range want.Memberships {
		if _, needsVIP := m.vipAddress(); !needsVIP || a.e.Local == nil {
			continue
		}
		if local, err := a.e.Local(m.VIP.Addr()); err == nil && !local {
			all[m.VIP.Addr()] = true
		}
	}
	return all
}

// destination is the address and port that the packets of clients have when they arrive at the service.
func (m Membership) destination() netip.AddrPort {
	to := netip.AddrPortFrom(m.Address, m.Port)
	if _, needsVIP := m.vipAddress(); needsVIP {
		to = m.VIP
	}
	return netip.AddrPortFrom(to.Addr(), cmp.Or(to.Port(), m.Checked))
}

// listens reports whether one of the sockets accepts connections to an address: it listens there, or on all addresses
// of the family.
func listens(sockets []netip.AddrPort, to netip.AddrPort) bool {
	return slices.ContainsFunc(sockets, func(s netip.AddrPort) bool {
		return s == to || s.Port() == to.Port() && s.Addr().IsUnspecified() && s.Addr().BitLen() == to.Addr().BitLen()
	})
}

// silent returns why the connections of a virtual server's clients are refused here, or "". It is unclear if it is not
// known whether rules redirect them.
func (a *Agent) silent(m Membership) (reason string, unclear bool) {
	l, to := &a.listening, m.destination()
	if _, known := l.all[m.Protocol]; !known || m.refusal() != "" || l.missed[m.endpoint()] <= missesAllowed {
		return "", false
	}
	redirected, why := a.redirected(m)
	switch {
	case redirected:
		return "", false
	case why != "":
		return fmt.Sprintf("nothing listens on %s, and it is not known whether a rule redirects the connections of clients: %s", to, why), true
	}
	var others []string
	for _, s := range l.all[m.Protocol] {
		if s.Port() == to.Port() {
			others = append(others, s.String())
		}
	}
	if len(others) == 0 {
		return fmt.Sprintf("nothing listens on %s: clients are refused: start the service", to), false
	}
	slices.Sort(others)
	all := "0.0.0.0"
	if to.Addr().Is6() {
		all = "::"
	}
	return fmt.Sprintf("nothing listens on %s, only on %s: clients are refused: set bind_address to %s (or add %s to it) and restart the service",
		to, strings.Join(slices.Compact(others), " and "), all, to.Addr()), false
}

// try is the command with which a client finds out whether the service answers.
func (m Membership) try() string {
	port := cmp.Or(m.VIP.Port(), m.Checked)
	if m.Protocol != "tcp" {
		return fmt.Sprintf("ask it what its clients ask it, at %s, port %d", m.VIP.Addr(), port)
	}
	return fmt.Sprintf("nc -vz %s %d", m.VIP.Addr(), port)
}

// silentServices returns the problems of the services that do not listen where the packets of clients arrive.
func (a *Agent) silentServices(want State) []problem.Finding {
	var all []problem.Finding
	for _, m := range want.Memberships {
		reason, unclear := a.silent(m)
		if reason == "" {
			continue
		}
		f := problem.Finding{Code: problem.NotListening, Subject: m.Name, Text: m.Name + ": " + reason}
		if unclear {
			f.Code, f.Remedy = problem.ListeningUnclear, "try it from a client: "+m.try()
		}
		all = append(all, f)
	}
	return all
}
