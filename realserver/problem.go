package realserver

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// Exposed returns why this machine would send the VIP in ARP packets although it is on lo, or "" if it would not. The
// kernel uses the larger of conf.all's value and the interface's (IN_DEV_MAXCONF).
func Exposed(nics []string, sysctls map[string]string) string {
	for _, rule := range []struct {
		name, want string
		silent     func(value int) bool
	}{
		// 3 depends on the scope and answers for a global address; 4-7 are reserved and answer (arp_ignore in
		// net/ipv4/arp.c).
		{"arp_ignore", arpIgnore, func(v int) bool { return v == 1 || v == 2 || v >= 8 }},
		{"arp_announce", arpAnnounce, func(v int) bool { return v >= 2 }},
	} {
		allKey := confKey("all", rule.name)
		all, known := sysctls[allKey]
		if !known {
			return allKey + " cannot be read: is /proc/sys mounted?"
		}
		if len(nics) == 0 && !silentValue(all, all, rule.silent) {
			return fmt.Sprintf("%s is %s, not %s", allKey, all, rule.want)
		}
		for _, nic := range nics {
			key := confKey(nic, rule.name)
			if own, exists := sysctls[key]; exists && !silentValue(all, own, rule.silent) {
				return fmt.Sprintf("%s is %s and %s is %s, not %s", allKey, all, key, own, rule.want)
			}
		}
	}
	return ""
}

func silentValue(all, own string, silent func(int) bool) bool {
	a, errA := strconv.Atoi(all)
	o, errO := strconv.Atoi(own)
	return errA == nil && errO == nil && silent(max(a, o))
}

// problems returns the problems of this node that the agent cannot repair, each with the remedy.
func problems(want State, have Found) []problem.Finding {
	var all []problem.Finding
	for _, a := range have.Addresses {
		if code, text := foreign(want, have, a); text != "" {
			all = append(all, problem.Finding{
				Code: code, Subject: kernel.IfAddr{Interface: a.Interface, Prefix: a.Prefix}.String(), Text: text, Related: want.clientsOf(a.Prefix.Addr()),
			})
		}
	}
	for _, a := range want.Addresses {
		if !have.hasLink(a.Interface) {
			f := missing(a.Interface, missingDevice(a.Interface))
			f.Related = want.servedFrom(a)
			all = append(all, f)
		}
	}
	for _, m := range want.Memberships {
		if r := m.refusal(); r != "" {
			all = append(all, problem.Finding{Code: problem.NotServing, Subject: m.Name, Text: m.Name + ": " + r})
		}
		own := func(a addr.Address) bool { return a.Prefix.Addr() == m.Address }
		if !slices.ContainsFunc(have.Addresses, own) {
			all = append(all, problem.Finding{Code: problem.OwnAddressMissing, Subject: m.Server, Text: fmt.Sprintf(
				"the cluster file gives %s the address %s, which no interface here has: is this the right node name?", m.Server, m.Address)})
		}
	}
	slices.SortFunc(all, func(a, b problem.Finding) int { return cmp.Compare(a.Text, b.Text) })
	return slices.CompactFunc(all, func(a, b problem.Finding) bool { return a.Text == b.Text })
}

// servedFrom returns the names of the virtual servers that need an address on this node.
func (s State) servedFrom(a kernel.IfAddr) []string {
	var names []string
	for _, m := range s.Memberships {
		if vip, needed := m.vipAddress(); needed && vip == a {
			names = append(names, m.Name)
		}
	}
	return names
}

// clientsOf returns the names of the virtual servers whose clients connect to a VIP.
func (s State) clientsOf(vip netip.Addr) []string {
	var names []string
	for _, m := range s.Memberships {
		if m.VIP.Addr() == vip {
			names = append(names, m.Name)
		}
	}
	return names
}

// rivals returns the addresses of network cards with which this node answers ARP for a VIP, beside the director.
func (s State) rivals(have Found, vip netip.Addr) []kernel.IfAddr {
	var all []kernel.IfAddr
	for _, a := range have.Addresses {
		if a.Prefix.Addr() != vip {
			continue
		}
		if code, _ := foreign(s, have, a); code == problem.VIPAnswersARP {
			all = append(all, kernel.IfAddr{Interface: a.Interface, Prefix: a.Prefix})
		}
	}
	return all
}

// foreign checks an address that the agent did not add; "" if it is not a problem.
func foreign(want State, have Found, a addr.Address) (problem.Code, string) {
	this := kernel.IfAddr{Interface: a.Interface, Prefix: a.Prefix}
	if len(want.clientsOf(a.Prefix.Addr())) == 0 || slices.Contains(want.Addresses, this) || slices.Contains(have.OwnAddresses, this) {
		return "", ""
	}
	remedy := fmt.Sprintf("remove it: ip addr del %s dev %s", a.Prefix, a.Interface)
	takes := "makes all of %s local to this machine"
	if !inARP(this) {
		takes = "may route all of %s to lo"
	}
	switch {
	case a.Interface == loopback && !a.Prefix.IsSingleIP() && len(want.Addresses) > 0:
		return problem.VIPTooWide, fmt.Sprintf("lo has the VIP as %s, which "+takes+": %s", a.Prefix, a.Prefix.Masked(), remedy)
	case slices.Contains(want.NICs, a.Interface) && !want.Director && !have.silentLink(a.Interface):
		return problem.VIPAnswersARP, fmt.Sprintf("%s has the VIP %s and answers %s for it beside the director, so clients reach this machine instead: %s", a.Interface, a.Prefix, questions(a.Prefix.Addr()), remedy)
	default:
		return "", ""
	}
}

// notAdded is the error of a VIP that is not added: this machine would answer ARP for it, or IPv6 is off.
type notAdded struct {
	address kernel.IfAddr
	reason  string
}

func (e notAdded) Error() string {
	return fmt.Sprintf("VIP %s is not added, because %s", e.address, e.reason)
}

// found returns the failures as problems.
func (f failures) found(want State) []problem.Finding {
	all := make([]problem.Finding, 0, len(f))
	for _, err := range f {
		one := problem.Finding{Code: problem.RepairFailed, Text: err.Error()}
		var refused notAdded
		if errors.As(err, &refused) {
			one.Code, one.Subject, one.Related = problem.VIPHeldBack, refused.address.String(), want.servedFrom(refused.address)
		}
		all = append(all, one)
	}
	return all
}

// notServing returns the problems of the virtual servers whose clients this node cannot serve.
func notServing(memberships []status.Membership) []problem.Finding {
	var all []problem.Finding
	for _, m := range memberships {
		if m.State != event.Up {
			all = append(all, problem.Finding{Code: problem.NotServing, Subject: m.Name, Text: m.Name + ": " + m.Reason})
		}
	}
	return all
}

// silentLink reports whether an interface never answers ARP, whatever addresses it has.
func (f Found) silentLink(name string) bool {
	return slices.ContainsFunc(f.Links, func(l addr.Link) bool { return l.Name == name && l.Kind == "dummy" })
}

// missing is the problem of a device, or of a port of the kernel, on which packets should arrive.
func missing(subject, text string) problem.Finding {
	return problem.Finding{Code: problem.DeviceMissing, Subject: subject, Text: text}
}

// WayBack checks where the answers of a NAT real server leave: they must pass a director, which rewrites their source
// to the VIP. gateway is the next hop towards clients, invalid if there is none. It returns the problem, or "" if there
// is none.
func WayBack(vips []netip.Addr, directors map[netip.Addr]string, m Membership, gateway netip.Addr) string {
	remedy := fmt.Sprintf("point the route to the clients at %s", choice(vips, m.VIP.Addr()))
	name, isDirector := directors[gateway]
	switch {
	case slices.Contains(vips, gateway), isDirector && len(directors) == 1:
		return ""
	case gateway.Is6() && gateway.IsLinkLocalUnicast(): // the cluster file does not have the link-local addresses
		return ""
	case isDirector:
		return fmt.Sprintf("answers leave through %s, the own address of director %s, and are lost when another director is MASTER: %s", gateway, name, remedy)
	case !gateway.IsValid():
		return fmt.Sprintf("answers have no gateway on their way to clients, so they do not pass a director, which forward: nat needs: %s", remedy)
	default:
		return fmt.Sprintf("answers leave through %s, which is not a director's address, and forward: nat needs a director to rewrite them: %s", gateway, remedy)
	}
}

// choice returns the VIPs that can be the gateway: all except the one that clients connect to, if there are others.
func choice(vips []netip.Addr, dialled netip.Addr) string {
	var inner []string
	for _, v := range vips {
		if v != dialled {
			inner = append(inner, v.String())
		}
	}
	if len(inner) == 0 {
		return "a VIP that the directors hold in this subnet (a VRRP instance for it, beside the outer one)"
	}
	return "a VIP that the directors hold: " + strings.Join(inner, " or ")
}
