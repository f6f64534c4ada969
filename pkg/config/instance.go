package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	maxPreemptDelay = time.Hour
	minLease        = 3 * time.Second
	maxLease        = time.Hour
)

// instance is an Instance under construction.
type instance struct {
	Instance
	directors []placed[Director]
}

func instanceSection(fields []key[instance]) *sectionOf[instance] {
	s := &sectionOf[instance]{
		section: section{
			name:     "vrrp_instances",
			what:     "a VRRP instance with name, interface, virtual_router_id and virtual_addresses",
			notes:    leaseNotes + "\n\n" + familyNotes + "\n\n" + strictNotes,
			reserved: instanceReserved(),
			words:    instanceWords(),
		},
		rules: func(i *instance, o object) {
			i.locatePriority(o)
			i.resolveLease(o)
			i.checkVirtualLink(o)
			i.checkPreemption(o)
			i.checkFamily(o)
			i.checkAuthentication(o)
			i.checkInterop(o)
			i.checkAddressCount(o)
			i.checkAcceptMode(o)
			i.checkBeforeVIP(o)
			i.checkInterfaceDelays(o)
			i.checkDontTrackPrimary(o)
		},
	}
	s.fields = fields
	s.fields = append(s.fields, perNodeField(s))
	return s.build()
}

func instanceReserved() []later {
	return []later{
		{name: "on_stop", doc: onStop},
	}
}

// instanceWords are hints for words that do not correspond to a key.
func instanceWords() []word {
	return append(interopWords(), []word{
		stateIsElected,
		needless("is keepalived's word: the virtual MAC address is always that of RFC 9568, and only on the instance's own interface",
			"use_vmac_addr", "vmac_addr"),
		needless("is keepalived's word: name each interface in a track", "track_interface_group"),
		needless("is keepalived's word: adverts follow RFC 9568 and RFC 3768, without variants",
			"old_unicast_checksum", "native_ipv6"),
		needless("is keepalived's word: a virtual address is always a single address, with which the kernel removes no other one", "promote_secondaries"),
		needless("is keepalived's word: the socket's buffer holds 1 024 adverts", "kernel_rx_buf_size"),
		needless("is keepalived's word: the kernel reports the carrier of an interface", "linkbeat_use_polling", "linkbeat_interfaces"),
		needless("is keepalived's word: start the daemon with --debug", "debug"),
		needless("is keepalived's word: write connection_sync: {interface: …} at the top level", "lvs_sync_daemon_interface", "lvs_sync_daemon_inteface"),
		needless("is keepalived's word: the source address of adverts is always tracked", "track_src_ip"),
		needless("is keepalived's word: adverts are always sent with a TTL of 255", "unicast_ttl"),
		needless("is keepalived's word: adverts from addresses that are no peers are always ignored", "check_unicast_src"),
		needless("is keepalived's word: without a peer an instance runs alone", "unicast_fault_no_peer"),
	}...)
}

// instanceFields are in the order of the reference. A key that others depend on comes before them.
func instanceFields() []key[instance] {
	return slices.Concat(routerFields(), transportFields(), authFields(), electionFields(), interfaceDelayFields(), []key[instance]{dontTrackPrimaryField()}, virtualLinkFields(), addressFields(), announcementFields(), []key[instance]{strictField(), acceptModeField()}, interopFields(), hookFields(), []key[instance]{takeOverField(), beforeVIPField()})
}

func routerFields() []key[instance] {
	return []key[instance]{
		&field[instance, string]{
			name: "name", kind: nodeName, in: func(i *instance) *string { return &i.Name },
			required: "a name for status and logs",
			doc:      "for status and logs; unique",
			reload:   Live,
		},
		&field[instance, string]{
			name: "interface", in: func(i *instance) *string { return &i.Interface },
			kind: texts("text", Schema{Pattern: `^[!-.0-9;-?A-~]{1,15}$`, Not: &Schema{Enum: []any{"lo", ".", ".."}}}, value.networkInterface),
			readAs: func(v value, i *instance) string {
				i.InterfaceAt = v.position()
				return v.networkInterface()
			},
			required: "the network interface of the adverts, for example eth0",
			doc:      "the network interface of the adverts and of the virtual addresses, at most 15 bytes",
			perNode:  perNode, reload: Another,
		},
		&field[instance, uint8]{
			name: "virtual_router_id", kind: wholeNumber[uint8](1, 255), in: func(i *instance) *uint8 { return &i.VRID },
			required: "a number from 1 to 255 that no other router in the network uses",
			doc:      "tells the instance from other VRRP routers of the network; unique per interface",
			perNode:  mustAgree, reload: Another,
			words: []word{synonyms("vrid")},
		},
		&field[instance, uint8]{
			name: "protocol_version", in: func(i *instance) *uint8 { return &i.ProtocolVersion },
			kind: protocolVersion(), def: 3,
			doc:     "VRRP version: RFC 3768 or RFC 9568. IPv6 needs version 3",
			perNode: mustAgree, reload: Another,
			words: []word{keepalived("version")},
		},
		&field[instance, time.Duration]{
			name: "advert_interval", in: func(i *instance) *time.Duration { return &i.AdvertInterval },
			kind:   durationOf("duration", nil),
			readAs: func(v value, i *instance) time.Duration { return v.advertInterval(i.ProtocolVersion) },
			def:    time.Second,
			doc: "the interval between the MASTER's adverts. Version 3: `10ms` to `40.95s` in steps of 10ms, below `100ms` with a " +
				"[warning](operations.md#adverts-every-10-ms); version 2: `1s` to `255s`, whole seconds",
			perNode: mustAgree, reload: Live,
			words: []word{keepalived("advert_int")},
		},
	}
}

func electionFields() []key[instance] {
	return []key[instance]{
		&field[instance, uint8]{
			name: "priority", kind: wholeNumber[uint8](1, 255), in: func(i *instance) *uint8 { return &i.Priority }, def: 100,
			doc: "the highest wins. Of equal ones the one that is MASTER stays, and of two MASTERs the higher director address " +
				"wins. 255 is the address owner, which takes over from any MASTER as soon as its first checks are done; " +
				"a warning if two directors have it. 1 is that of a [degraded](operations.md#degraded-directors) director: a warning, too",
			perNode: perNode, reload: Live,
		},
		&field[instance, bool]{
			name: "preempt", kind: flag(true), in: func(i *instance) *bool { return &i.Preempt }, def: true,
			doc: "whether a director takes over from a MASTER of lower priority (`false` is keepalived's nopreempt; an " +
				"error with priority 255). A [degraded](operations.md#degraded-directors) MASTER is replaced with `false`, too",
			perNode: perNode, reload: Live,
			words: []word{keepalived("nopreempt").write("`preempt: false`")},
		},
		&field[instance, time.Duration]{
			name: "preempt_delay", kind: durationIn(0, maxPreemptDelay), in: func(i *instance) *time.Duration { return &i.PreemptDelay },
			doc:     "how long to wait before preempting a MASTER of lower priority",
			perNode: perNode, reload: Live,
		},
		startupDelayField(),
		deafDelayField(),
		&field[instance, bool]{
			name: "ignore_refused_adverts", kind: flag(false), in: func(i *instance) *bool { return &i.IgnoreRefusedAdverts },
			doc: "whether to take the virtual addresses even if a router sends adverts for them that are refused: of another version, " +
				"with another password or none, sent another way, or of version 2 with another interval (see [operations.md](operations.md#adverts-that-are-refused))",
			perNode: perNode, reload: Live,
		},
	}
}

func addressFields() []key[instance] {
	return []key[instance]{
		&field[instance, []netip.Prefix]{
			name: "virtual_addresses", kind: virtualAddresses(), in: func(i *instance) *[]netip.Prefix { return &i.VirtualAddresses },
			readAs: func(v value, i *instance) []netip.Prefix {
				i.VirtualAddressesAt = v.position()
				return virtualAddresses().read(v)
			},
			required: "the addresses that move between the directors",
			doc: "up to 255 addresses of one family, `10.77.0.100` or `10.77.0.100/32`, `fd00::100` or `fd00::100/128` (see [IPv6](operations.md#ipv6)). " +
				"No other prefix length: a virtual address is never a source address. Each belongs to one instance and is the address of no director and no real server",
			perNode: mustAgree, reload: Live,
			words: []word{
				keepalived("virtual_ipaddress"),
				keepalived("no_virtual_ipaddress").write("`virtual_addresses: []`"),
				synonyms("vip", "address", "addresses"),
			},
		},
		excludedField(),
		addressOptionsField(addressOptionSection()),
		routesField(routeSection()),
		rulesField(ruleSection()),
		&field[instance, time.Duration]{
			name: "lease", kind: secondsIn(minLease, maxLease), in: func(i *instance) *time.Duration { return &i.Lease },
			unset:  "see below", // resolveLease
			doc:    "kernel lifetime of a virtual address",
			reload: Live,
		},
		tracksField(),
		peerBFDField(),
	}
}

func readInstances(v value, s *sectionOf[instance], directors []placed[Director]) []placed[instance] {
	list := s.each(v, "VRRP instances", instance{directors: directors})
	unique(list, "name", func(i instance) string { return i.Name })
	return list
}

func protocolVersion() kind[uint8] {
	k := wholeNumber[uint8](2, 3)
	k.text = "`2` or `3`"
	k.read = func(v value) uint8 {
		n, ok := v.whole(0, 255)
		if ok && n != 2 && n != 3 {
			v.fail("", "%d is not a VRRP version: 2 or 3", n)
			n = 0
		}
		return uint8(n)
	}
	return k
}

// networkInterface reads a valid interface name (net/core/dev.c, dev_valid_name).
func (v value) networkInterface() string {
	s := v.text()
	switch {
	case s == "":
		return ""
	case len(s) > 15:
		v.fail("", "%s has %d bytes: an interface name has at most 15", quote(s), len(s))
	case s == "." || s == ".." || strings.ContainsAny(s, "/: \t\n\v\f\r") || nonASCII(s) != "":
		v.fail("", "%s is not an interface name%s", quote(s), nonASCII(s))
	case strings.Contains(s, "@"):
		name, _, _ := strings.Cut(s, "@")
		v.fail("write "+name, "%s is not an interface name: ip link shows the peer of an interface after @", quote(s))
	case s == "lo":
		v.fail("", "adverts on lo reach no other director")
	default:
		return s
	}
	return ""
}

// steadyInterval is the shortest advert interval that any current host can keep, virtual machines included.
const steadyInterval = 100 * time.Millisecond

// advertInterval reads an interval that an advert of this version can carry: seconds in 8 bits (RFC 3768, section
// 5.3.7) or hundredths of a second in 12 bits (RFC 9568, section 5.2.7).
func (v value) advertInterval(version uint8) time.Duration {
	switch version {
	case 2:
		if d, err := time.ParseDuration(v.node.Value); err == nil && d > 0 && d%time.Second != 0 {
			v.fail("use protocol_version: 3", "%s is not a whole number of seconds, which VRRP version 2 needs", v.node.Value)
			return 0
		}
		d, _ := v.duration(time.Second, 255*time.Second)
		return d
	case 3:
		const step = 10 * time.Millisecond
		d, ok := v.duration(step, 4095*step)
		if ok && d%step != 0 {
			v.fail("", "%s is not a multiple of 10ms, the unit of VRRP version 3", v.node.Value)
			return 0
		}
		if ok && d < steadyInterval {
			v.warn("use 100ms, or run on every director: nice -n -20 lvsctl check --host FILE",
				"%s: a director that gets no CPU for %s loses its VIPs, and some machines have such pauses", v.node.Value, span(3*d))
		}
		return d
	default: // reported already
		return 0
	}
}
