package reconcile

import (
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// The two parameters whose change makes the kernel change others, all of this host's interfaces among them
// (inet_forward_change in net/ipv4/devinet.c, addrconf_fixup_forwarding in net/ipv6/addrconf.c). conf.all of any other
// parameter changes only itself.
const (
	forward4 = "net.ipv4.ip_forward"
	forward6 = "net.ipv6.conf.all.forwarding"

	conf4, conf6    = "net/ipv4/conf/", "net/ipv6/conf/"
	acceptRedirects = conf4 + "all/accept_redirects"
)

// implied returns the parameters that the kernel sets too when key changes to value, with the values that it gives them.
func implied(key, value string, interfaces []string) map[string]string {
	set := map[string]string{}
	under := func(conf string) {
		for _, name := range append([]string{"default"}, interfaces...) {
			set[conf+name+"/forwarding"] = value
		}
	}
	switch key {
	case forward4:
		under(conf4)
		set[acceptRedirects] = impliedValue(acceptRedirects, value)
	case forward6:
		under(conf6)
	}
	return set
}

// impliedValue returns the value that key gets when the parameter that sets it too changes to value.
func impliedValue(key, value string) string {
	switch {
	case key != acceptRedirects:
		return value
	case value == "0":
		return "1"
	default:
		return "0"
	}
}

// impliedBy returns the parameter that sets key too; "" if none does.
func impliedBy(key string) string {
	switch {
	case key == acceptRedirects:
		return forward4
	case !strings.HasSuffix(key, "/forwarding"):
		return ""
	case strings.HasPrefix(key, conf4):
		return forward4
	case strings.HasPrefix(key, conf6):
		return forward6
	}
	return ""
}

// recordImplied returns the records of the parameters that the kernel changes with those in changes.
func (s *Sysctls) recordImplied(changes []statefile.Sysctl) []statefile.Sysctl {
	var more []statefile.Sysctl
	for _, c := range changes {
		if c.Found == c.Wrote {
			continue
		}
		for key, value := range implied(c.Key, c.Wrote, s.interfaces()) {
			if found, err := s.o.Kernel.Get(key); err == nil { // otherwise it does not exist, and none is lost
				more = append(more, statefile.Sysctl{Key: key, Found: found, Wrote: value})
			}
		}
	}
	return more
}

// interfaces returns the names of the interfaces, sorted.
func (s *Sysctls) interfaces() []string {
	names := make([]string, 0, len(s.names))
	for _, name := range s.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// restoreImplied replaces the part of the plan that concerns parameters which the kernel changes with others: none of it
// while the other parameter is wanted, and where that is restored, what they should be afterwards. A value that another
// process has set meanwhile stays.
func (p *SysctlPlan) restoreImplied(want, have map[string]string, recorded []statefile.Sysctl) {
	restored := map[string]string{}
	for _, c := range p.Restore {
		restored[c.Key] = c.To
	}
	for _, r := range recorded {
		parent := impliedBy(r.Key)
		_, wanted := want[parent]
		if _, own := want[r.Key]; parent == "" || wanted || own {
			continue
		}
		now, exists := have[r.Key]
		to, clobbered := restored[parent]
		if !clobbered || !exists {
			p.planRestore(r, have)
			continue
		}
		if now == r.Wrote {
			now = r.Found
		}
		if from := impliedValue(r.Key, to); from != now {
			p.Restore = append(p.Restore, SysctlChange{Key: r.Key, From: from, To: now})
		} else {
			p.Forget = append(p.Forget, r.Key)
		}
	}
}
