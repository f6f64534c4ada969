package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func strictField() key[instance] {
	return &field[instance, bool]{
		name: "strict", kind: flag(false), in: func(i *instance) *bool { return &i.Strict },
		doc: "whether only what is in RFC 9568, or with version 2 in RFC 3768, is allowed, as with keepalived's `vrrp_strict`: " +
			"see [below](#vrrp_instances) for what is refused, and for the defaults that change",
		reload: Live,
		words:  []word{keepalived("strict_mode", "vrrp_strict").write("`strict: true`")},
	}
}

const strictNotes = "**strict** refuses an instance without virtual addresses, `auth_type: pass`, `unicast_peers`, another `multicast_group`, IPv6\n" +
	"without a link-local address among `virtual_addresses`, `preempt_delay`, `down_timer_adverts` other than 3, priority 255 on two\n" +
	"directors, `higher_prio_send_advert: true`, `lower_prio_no_advert` other than the RFC of the version has it, `transmit_from_base`,\n" +
	"and with version 2 `accept_mode: true`, each with the section of the RFC. It changes the defaults of `accept_mode` to `false`, of\n" +
	"`higher_prio_send_advert` to `false`, and with version 2 of `lower_prio_no_advert` to `true`. It does not change `checksum`, as in\n" +
	"keepalived: write `checksum: plain` for the letter of RFC 9568, if no keepalived is in the group."

// groupOf returns the multicast group that the RFCs give a family.
func groupOf(f kernel.Family) netip.Addr {
	if f == kernel.IPv6 {
		return netip.MustParseAddr("ff02::12")
	}
	return netip.MustParseAddr("224.0.0.18")
}

// breach is a setting of an instance on one director that an RFC does not allow.
type breach struct {
	key, hint, what string
	rule            string // "RFC 9568, section 6.1"
}

// breaches returns what strict does not allow. i is resolved for a director.
func (i Instance) breaches() []breach {
	rfc := func(v3, v2 string) string {
		if i.ProtocolVersion == 2 {
			return "RFC 3768, section " + v2
		}
		return "RFC 9568, section " + v3
	}
	destination := rfc("5.1.1.2", "5.2.2")
	if i.Family() == kernel.IPv6 {
		destination = rfc("5.1.2.2", "")
	}
	linkLocal := slices.ContainsFunc(i.Advertised(), netip.Addr.IsLinkLocalUnicast)
	var all []breach
	for _, one := range []struct {
		found bool
		breach
	}{
		{len(i.VirtualAddresses) == 0, breach{"virtual_addresses", "add one", "an advert has at least one address", rfc("5.2.5", "5.3.5")}},
		{i.AuthPass, breach{"auth_type", "remove it", "adverts have no password", rfc("9", "5.3.6")}},
		{i.Transport.Unicast(), breach{"unicast_peers", "remove it", "adverts are multicast", destination}},
		{i.Transport.MulticastGroup.IsValid() && i.Transport.MulticastGroup != groupOf(i.Family()), breach{
			"multicast_group", "remove it", fmt.Sprintf("the group of the adverts is %s", groupOf(i.Family())), destination,
		}},
		{i.Family() == kernel.IPv6 && len(i.VirtualAddresses) > 0 && !linkLocal, breach{
			"virtual_addresses", "add one of fe80::/10", "with IPv6 the first address is link-local", rfc("5.2.9", ""),
		}},
		{i.PreemptDelay > 0, breach{"preempt_delay", "remove it", "a router of higher priority does not wait", rfc("6.4.2", "6.4.2")}},
		{i.Variants.DownTimerAdverts != 3, breach{"down_timer_adverts", "remove it", "a router is down after three adverts", rfc("6.1", "6.1")}},
		{i.Variants.HigherPrioSendAdvert, breach{"higher_prio_send_advert", "remove it", "a MASTER that gives way sends no advert", rfc("6.4.3", "6.4.3")}},
		{i.ProtocolVersion == 3 && i.Variants.LowerPrioNoAdvert, breach{"lower_prio_no_advert", "remove it", "an advert of lower priority is answered at once", rfc("6.4.3", "")}},
		{i.ProtocolVersion == 2 && !i.Variants.LowerPrioNoAdvert, breach{"lower_prio_no_advert", "remove it", "an advert of lower priority is not answered", rfc("", "6.4.3")}},
		{i.Virtual.MAC && i.Virtual.FromBase, breach{"transmit_from_base", "remove it", "adverts come from the virtual router's MAC address", rfc("7.2", "7.2")}},
		{i.ProtocolVersion == 2 && i.Accepts() && i.Priority != ownerPriority, breach{
			"accept_mode", "remove it", "only the address owner accepts packets", rfc("", "6.4.3"),
		}},
	} {
		if one.found {
			all = append(all, one.breach)
		}
	}
	return all
}

// checkStrict rejects what strict does not allow, on every director.
func (c *contents) checkStrict() {
	for _, in := range c.instances {
		if !in.v.Strict {
			continue
		}
		all := in.v.byDirector()
		reported := map[*yaml.Node]bool{}
		for _, d := range slices.Sorted(maps.Keys(all)) {
			for _, b := range all[d].breaches() {
				if at := in.at.setting(d, b.key); !reported[at.node] {
					reported[at.node] = true
					at.fail(b.hint+", or remove strict", "strict: %s (%s)", b.what, b.rule)
				}
			}
		}
	}
}
