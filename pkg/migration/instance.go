package migration

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/conftree"
)

// instance is a vrrp_instance.
type instance struct {
	subject
	master, noPreempt *conftree.Statement // state MASTER, nopreempt
	ipv6              bool
	authType, pass    *conftree.Statement
	own               string // the address that adverts come from
	vips, excluded    []vip
	bfd               []*conftree.Statement // track_bfd, read when the interface is known
	untracked         *conftree.Statement   // dont_track_primary
	tracked           bool                  // track_interface names its own interface without a weight
}

func (i *instance) interfaceName() string { return i.text("interface") }

// instanceOrder is the order of keys in the cluster file.
var instanceOrder = []string{
	"name", "interface", "virtual_router_id", "protocol_version", "advert_interval", "priority", "preempt", "preempt_delay", "dont_track_primary", "interface_up_delay", "interface_down_delay",
	"unicast_peers", "unicast_source", "unicast_min_ttl", "multicast_group", "multicast_source", "auth_type", "auth_password_file",
	"virtual_mac", "ipvlan", "virtual_interface", "transmit_from_base", "virtual_addresses", "excluded_addresses", "address_options",
	"routes", "rules", "tracks", "announcements",
}

var instanceWords = notifyWords(words[*instance]{
	"state": readState,
	"interface": func(r *reader, i *instance, s *conftree.Statement) {
		r.set(i.object, "interface", s.Arg(1), s)
		r.surplus(s, 2)
	},
	"virtual_router_id": numberTo[*instance]("virtual_router_id", 1, 255),
	"priority":          numberTo[*instance]("priority", 1, 255),
	"version":           numberTo[*instance]("protocol_version", 2, 3),
	"advert_int":        secondsTo[*instance]("advert_interval", 0.01, 255),
	"nopreempt":         func(_ *reader, i *instance, s *conftree.Statement) { i.noPreempt = s },
	"preempt":           always[*instance](""),
	"preempt_delay":     secondsTo[*instance]("preempt_delay", 0, 1000),
	"authentication":    func(r *reader, i *instance, s *conftree.Statement) { readBlock(r, s, i, authWords) },
	"auth_hmac":         refused[*instance]("its packets changed between versions of keepalived: not supported"),

	"virtual_ipaddress":          func(r *reader, i *instance, s *conftree.Statement) { r.readVIPs(i, &i.vips, s) },
	"virtual_ipaddress_excluded": func(r *reader, i *instance, s *conftree.Statement) { r.readVIPs(i, &i.excluded, s) },
	"no_virtual_ipaddress":       always[*instance](""),
	"virtual_routes":             func(r *reader, i *instance, s *conftree.Statement) { r.readRoutes(i, s) },
	"virtual_rules":              func(r *reader, i *instance, s *conftree.Statement) { r.readRules(i, s) },

	"unicast_src_ip": func(r *reader, i *instance, s *conftree.Statement) {
		i.own = s.Arg(1)
		r.set(i.object, "unicast_source", s.Arg(1), s)
	},
	"mcast_src_ip": func(r *reader, i *instance, s *conftree.Statement) {
		i.own = s.Arg(1)
		r.set(i.object, "multicast_source", s.Arg(1), s)
	},
	"mcast_dst_ip":          func(r *reader, i *instance, s *conftree.Statement) { r.set(i.object, "multicast_group", s.Arg(1), s) },
	"unicast_peer":          func(r *reader, i *instance, s *conftree.Statement) { r.readPeers(i, s) },
	"unicast_ttl":           changed[*instance]("adverts are always sent with a TTL of 255"),
	"check_unicast_src":     always[*instance]("adverts from addresses that are no peers are always ignored"),
	"unicast_fault_no_peer": changed[*instance]("without a peer an instance runs alone"),
	"track_src_ip":          always[*instance]("the source address is always tracked"),

	"track_interface": func(r *reader, i *instance, s *conftree.Statement) {
		r.readInterfaces(i.interfaceName(), &i.uses, s)
		i.tracked = i.tracked || slices.ContainsFunc(s.Block, func(l *conftree.Statement) bool { return l.Keyword() == i.interfaceName() && l.Arg(1) == "" })
	},
	"track_bfd": func(r *reader, i *instance, s *conftree.Statement) { i.bfd = append(i.bfd, r.later(s)) },
	"dont_track_primary": func(r *reader, i *instance, s *conftree.Statement) {
		r.surplus(s, 1)
		i.untracked = s
	},

	"garp_master_repeat":         numberTo[*instance]("announcements.repeat", 1, 100),
	"garp_master_delay":          changed[*instance](evenly),
	"garp_lower_prio_repeat":     numberTo[*instance]("announcements.lower_priority_repeat", 1, 100),
	"garp_lower_prio_delay":      changed[*instance](evenly),
	"garp_master_refresh":        secondsTo[*instance]("announcements.refresh", 0, 86400),
	"garp_master_refresh_repeat": numberTo[*instance]("announcements.refresh_repeat", 1, 100),
	"garp_interval":              secondsTo[*instance]("announcements.interval", 0, 1),
	"gna_interval":               secondsTo[*instance]("announcements.gna", 0, 1),
	"garp_extra_if":              changed[*instance]("announcements: {refresh: …} is for all addresses, wherever they are"),
	"vmac_garp_intvl":            changed[*instance]("announcements: {refresh: …} is for all addresses, wherever they are"),

	"down_timer_adverts":        numberTo[*instance]("down_timer_adverts", 1, 100),
	"lower_prio_no_advert":      flagTo[*instance]("lower_prio_no_advert", true),
	"higher_prio_send_advert":   flagTo[*instance]("higher_prio_send_advert", true),
	"owner_ignore_adverts":      flagTo[*instance]("owner_ignore_adverts", true),
	"skip_check_adv_addr":       always[*instance]("lists of addresses are never compared in the election"),
	"strict_mode":               flagTo[*instance]("strict", true),
	"accept":                    flagTo[*instance]("accept_mode", true),
	"no_accept":                 flagTo[*instance]("accept_mode", false),
	"v3_checksum_as_v2":         readPlainChecksum[*instance],
	"thread_timer_expired":      always[*instance]("a MASTER that was stalled reads its socket first"),
	"timer_expired_backup":      always[*instance]("a MASTER that was stalled reads its socket first"),
	"use_vmac":                  readVMAC("virtual_mac"),
	"use_ipvlan":                readVMAC("ipvlan"),
	"vmac_xmit_base":            flagTo[*instance]("transmit_from_base", true),
	"lvs_sync_daemon_interface": readOldSync,
	"lvs_sync_daemon_inteface":  readOldSync,
})

var authWords = words[*instance]{
	"auth_type": func(_ *reader, i *instance, s *conftree.Statement) { i.authType = s },
	"auth_pass": func(_ *reader, i *instance, s *conftree.Statement) { i.pass = s },
}

func readState(r *reader, i *instance, s *conftree.Statement) {
	switch s.Arg(1) {
	case "MASTER":
		i.master = s
		r.judge(s, Changed, "the state is elected: the highest priority wins")
	case "BACKUP":
		i.master = nil
		r.judge(s, NoEffect, "it is how every instance starts")
	default:
		r.judge(s, NoEffect, "keepalived knows MASTER and BACKUP, and takes '%s' for BACKUP", s.Arg(1))
	}
	r.surplus(s, 2)
}

func readVMAC(key string) handler[*instance] {
	return func(r *reader, i *instance, s *conftree.Statement) {
		r.set(i.object, key, true, s)
		args := s.Args()
		if key == "ipvlan" {
			for _, a := range args {
				if strings.ContainsAny(a, ".:/") {
					r.judge(s, Refused, "an address of the ipvlan is not supported")
				}
			}
		}
		if len(args) > 0 && args[0] != "netlink_notify" {
			r.set(i.object, "virtual_interface", args[0], nil)
		}
	}
}

func readOldSync(r *reader, i *instance, s *conftree.Statement) {
	g := r.global
	if s.Keyword() == "lvs_sync_daemon_inteface" {
		r.judge(s, Changed, "keepalived does not know the misspelt word, so it did not synchronize connections: connection_sync does")
	}
	if g.sync.at == nil {
		g.sync.at = s
		r.set(g.sync, "interface", s.Arg(1), nil)
		r.set(g.sync, "instance", i.name, nil)
		return
	}
	r.judge(s, Refused, "there is one connection_sync, and line %d has it", g.sync.at.At().Line)
}

func (r *reader) readPeers(i *instance, s *conftree.Statement) {
	var peers []string
	for _, line := range s.Block {
		for n := 0; n < len(line.Words); n++ {
			word := line.Arg(n)
			switch addr, err := netip.ParseAddr(word); {
			case word == "min_ttl" && n+1 < len(line.Words):
				n++
				if ttl, ok := r.number(&conftree.Statement{Words: line.Words[n-1 : n+1]}, 1, 255); ok {
					r.set(i.object, "unicast_min_ttl", ttl, nil)
				}
			case word == "max_ttl":
				n++
				r.judge(line, Changed, "a peer that is too near is no danger: max_ttl is not needed")
			case err != nil:
				r.judge(line, Refused, "'%s' is no address", word)
			default:
				peers = append(peers, addr.String())
			}
		}
		r.rest(line)
	}
	if len(peers) > 0 {
		r.set(i.object, "unicast_peers", peers, s)
	}
	if i.get("unicast_min_ttl") != nil && len(peers) > 1 {
		r.judge(s, Changed, "the least TTL is the same for all peers: unicast_min_ttl")
	}
}

func (r *reader) readInstance(s *conftree.Statement) {
	i := &instance{subject: subject{object: &object{at: s, comments: comments(s)}, name: name(s.Arg(1))}}
	if i.name == "" {
		r.judgeAll(s, Refused, "the name is missing")
		return
	}
	r.surplus(s, 2)
	r.set(i.object, "name", i.name, nil)
	readBlock(r, s, i, instanceWords, "vrrp_instances", "notify")
	if i.text("virtual_router_id") == "" {
		r.judgeAll(s, Refused, "it has no valid virtual_router_id, without which keepalived does not start it")
		return
	}
	if i.interfaceName() == "" {
		r.judgeAll(s, Refused, "it has no interface: write which")
		return
	}
	for _, b := range i.bfd {
		r.readBFD(&i.subject, []string{i.interfaceName()}, b)
	}
	r.instances = append(r.instances, i)
	r.names[i.name] = true
}

// finishInstance adds what depends on several keys and on global_defs.
func (r *reader) finishInstance(i *instance) {
	r.applyDefaults(i)
	r.placeVIPs(i)
	i.finishVersion(r)
	if i.get("priority") == nil && i.master != nil {
		r.set(i.object, "priority", 255, nil)
		r.judge(i.master, Changed, "without a priority keepalived takes 255, the address owner: so it is written")
	}
	i.finishPreempt(r)
	i.finishUntracked(r)
	r.applyLinkDelay(i)
	i.finishAuth(r)
	if !i.alert && r.global.alertVRRP {
		i.alert = true
		r.mailHook(&i.subject, i.at)
	}
	i.finish(r)
	i.gather(r)
	i.sort(instanceOrder...)
}

// applyDefaults copies settings of global_defs that the instance does not have.
func (r *reader) applyDefaults(i *instance) {
	for _, e := range r.global.instance.entries {
		if e.key == "multicast_group6" {
			if !i.ipv6 {
				continue
			}
			e.key = "multicast_group"
		} else if e.key == "multicast_group" && i.ipv6 {
			continue
		}
		if i.get(e.key) == nil {
			e.comment, e.at = "", nil
			i.entries = append(i.entries, e)
		}
	}
	if r.global.startup != "" {
		i.add("startup_delay", r.global.startup)
	}
}

// finishVersion writes the version and the interval, whose defaults differ here.
func (i *instance) finishVersion(r *reader) {
	if i.ipv6 {
		i.remove("protocol_version")
		i.add("protocol_version", 3)
	}
	i.add("protocol_version", 2)
	e := i.get("advert_interval")
	if e == nil || i.text("protocol_version") != "2" || strings.HasSuffix(e.value.Value, "s") && !strings.HasSuffix(e.value.Value, "ms") {
		return
	}
	_, n, _ := r.seconds(e.at, 0, 255)
	whole := max(1, float64(int(n+0.5)))
	r.judge(e.at, Changed, "version 2 has whole seconds, to which keepalived rounds: %s", duration(whole))
	r.set(i.object, "advert_interval", duration(whole), e.at)
}

func (i *instance) finishPreempt(r *reader) {
	switch s := i.noPreempt; {
	case s == nil:
	case i.master != nil:
		r.judge(s, NoEffect, "keepalived ignores it with state MASTER")
	case i.text("priority") == "255":
		r.judge(s, NoEffect, "keepalived ignores it with priority 255")
	default:
		r.set(i.object, "preempt", false, s)
		r.judge(s, Translated, "")
	}
}

// finishAuth writes the password into a file of its own.
func (i *instance) finishAuth(r *reader) {
	for _, s := range []*conftree.Statement{i.authType, i.pass} {
		if s != nil && i.text("protocol_version") == "3" {
			r.judge(s, NoEffect, "version 3 has no authentication, and keepalived ignores it")
		}
	}
	if i.text("protocol_version") == "3" || i.authType == nil && i.pass == nil {
		return
	}
	switch {
	case i.authType != nil && strings.EqualFold(i.authType.Arg(1), "AH"):
		r.judge(i.authType, Refused, "AH was removed from VRRP: remove it on all routers")
		if i.pass != nil {
			r.judge(i.pass, Refused, "see auth_type")
		}
		return
	case i.pass == nil || i.pass.Arg(1) == "":
		r.judge(i.at, Refused, "authentication has no auth_pass: remove it on all routers")
		return
	}
	password := i.pass.Arg(1)
	if len(password) > 8 {
		password = password[:8]
		r.judge(i.pass, Changed, "keepalived uses the first 8 characters, and so does the file")
	}
	file := name("vrrp-"+i.name) + ".password"
	r.addSecret(file, password, i.pass)
	r.set(i.object, "auth_type", "pass", nil)
	r.set(i.object, "auth_password_file", r.options.SecretsDir+"/"+file, nil)
}

// gather moves the keys of announcements into their mapping. The interval of an IPv6 instance is gna_interval, of others
// garp_interval.
func (i *instance) gather(r *reader) {
	o := &object{}
	for _, e := range append([]entry{}, i.entries...) {
		key, is := strings.CutPrefix(e.key, "announcements.")
		if !is {
			continue
		}
		i.remove(e.key)
		switch {
		case key == "interval" && i.ipv6, key == "gna" && !i.ipv6:
			if e.at != nil {
				r.judge(e.at, NoEffect, "it is for instances of the other address family")
			}
			continue
		case key == "gna":
			key = "interval"
		}
		o.add(key, e.value)
	}
	if len(o.entries) > 0 {
		r.set(i.object, "announcements", o, nil)
	}
}
