package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// virtualServer is a VirtualServer under construction, with the positions of its parts.
type virtualServer struct {
	VirtualServer
	everyPort bool // port: 0
	marking   string
	packets   []placed[Packets]
	checks    []placed[Check]
	inherited []Check // checks without their positions: one list for all real servers without checks of their own
	servers   []placed[realServer]
	sorry     []placed[realServer]
	inhibit   bool // inhibit_on_failure, which real servers inherit
}

// members returns the real servers and the sorry servers, which must not be changed.
func (s *virtualServer) members() []placed[realServer] {
	if len(s.sorry) == 0 { // the usual case; copies for a thousand virtual servers take a quarter of the memory that reading them allocates
		return slices.Clip(s.servers)
	}
	return slices.Concat(s.servers, s.sorry)
}

func virtualServerSection(checks *sectionOf[check]) *sectionOf[virtualServer] {
	s := &sectionOf[virtualServer]{
		section: section{
			name: "virtual_servers",
			what: "a virtual server with name, address, port, scheduler, forward and real_servers",
			words: []word{
				keepalived("delay_loop").write("`interval` in each check"),
				keepalived("connect_timeout").write("`timeout` in each check"),
				needless("is keepalived's word, and means nothing since Linux 2.4", "nat_mask"),
				keepalived("retry", "delay_before_retry", "warmup").write("`fall` and `rise` in each check"),
				keepalived("sorry_server_inhibit").write("`inhibit_on_failure: true` in the sorry_server"),
				keepalived("sorry_server_lvs_method").write("`forward` in the sorry_server"),
				keepalived("sh-fallback", "mh-fallback", "flag-1").write("`scheduler_flags: [fallback]`"),
				keepalived("sh-port", "mh-port", "flag-2").write("`scheduler_flags: [port]`"),
				needless("is keepalived's word: no scheduler has this flag", "hashed", "flag-3"),
				needless("is keepalived's word: the family is that of the address", "ip_family"),
				needless("is keepalived's word: name serves this purpose", "snmp_name", "virtualhost"),
				needless("is keepalived's word: a start adopts what is in the kernel, and a stop removes it, without server_down and quorum_down, which keepalived runs then (notify_down, quorum_down): what they do belongs in ExecStopPost of the unit", "omega"),
				{names: []string{"weight"}, hint: "write it in each of real_servers"},
			},
		},
		rules: func(s *virtualServer, o object) {
			s.takeHooks()
			s.checkPorts(o)
			s.checkFamilies(o)
			s.validateChecks(o)
			s.checkScheduler(o)
			s.warnWeights(o)
			s.checkOnFailure(o)
			s.checkQuorum(o)
			s.checkStandby(o)
			s.checkSlowStart(o)
			s.checkSNAT(o)
		},
	}
	s.fields = slices.Concat(serviceFields(), policyFields(), standbyFields(), markFields(), []key[virtualServer]{
		checksField(checks, "none", "health checks; a warning if a real server has none",
			func(s *virtualServer) *[]placed[Check] { return &s.checks }),
		checksNeeded(func(s *virtualServer) *int { return &s.ChecksNeeded }),
		realServersField(realServerSection(checks)),
		sorryServersField(sorryServerSection(checks)),
	})
	return s.build()
}

// checksField declares the checks of a virtual server or of a real server.
func checksField[S any](checks *sectionOf[check], unset, doc string, in func(*S) *[]placed[Check]) key[S] {
	return &field[S, []placed[Check]]{
		name: "checks", in: in,
		kind:  mappingsOf(&checks.section, 0, func(v value) []placed[Check] { return readChecks(v, checks) }),
		unset: unset, doc: doc,
		words: []word{
			synonyms("check").write("`checks`, a list"),
			keepalived("tcp_check").write("`checks: [{type: tcp}]`"),
			keepalived("http_get").write("`checks: [{type: http, paths: [/]}]`"),
			keepalived("ssl_get").write("`checks: [{type: https, paths: [/]}]`"),
			keepalived("smtp_check").write("`checks: [{type: smtp}]`"),
			keepalived("dns_check").write("`checks: [{type: dns}]`"),
			keepalived("udp_check").write("`checks: [{type: udp}]`"),
			keepalived("ping_check").write("`checks: [{type: ping}]`"),
			keepalived("file_check").write("`checks: [{type: file, path: /path/to/file}]`"),
			word{
				names: []string{"bfd_check"}, keepalived: true, message: "is keepalived's word: this version has no check by BFD",
			}.write("`checks: [{type: ping}]`"),
			keepalived("misc_check").write("`checks: [{type: command, command: [/path/to/script]}]`, or `{type: mysql, user: lvs_check, password_file: /etc/lvs-director/check.password}`"),
		},
	}
}

// checksNeeded declares how many of the checks must pass.
func checksNeeded[S any](in func(*S) *int) key[S] {
	return &field[S, int]{
		name: "checks_needed", kind: wholeNumber[int](1, 100), in: in, unset: "all",
		doc: "how many of the `checks` of the same mapping must pass; 1 is any of them", reload: Live,
	}
}

// checkNeeded rejects more checks than there are.
func (o object) checkNeeded(needed, checks int) {
	if needed > checks && !o.missing("checks_needed") {
		o.locate("checks_needed").fail("", "%d of %s can never pass", needed, count(checks, "check"))
	}
}

func serviceFields() []key[virtualServer] {
	return []key[virtualServer]{
		&field[virtualServer, string]{
			name: "name", kind: nodeName, in: func(s *virtualServer) *string { return &s.Name },
			required: "a name for status and commands",
			doc:      "for status and commands; unique",
			reload:   Live,
		},
		&field[virtualServer, netip.Addr]{
			name: "address", kind: addressOf(noMachine+loopback, value.serviceAddress), in: func(s *virtualServer) *netip.Addr { return &s.Address },
			required: "the address that clients connect to",
			doc:      "the address that clients connect to; a warning if the file has instances and none of them has it",
			reload:   Another,
			words:    []word{synonyms("ip", "vip")},
		},
		addressesField(),
		portField(),
		portsField(),
		&field[virtualServer, string]{
			name: "protocol", kind: oneOf[string](protocols), in: func(s *virtualServer) *string { return &s.Protocol }, def: "tcp",
			doc:    "what clients speak",
			reload: Another,
		},
		&field[virtualServer, string]{
			name: "scheduler", kind: oneOf[string](schedulers), in: func(s *virtualServer) *string { return &s.Scheduler },
			required: enumerate(schedulers.words, "or"),
			doc: "`rr` round robin, `wrr` by weight, `lc` least connections, `wlc` least connections by weight, and " +
				"[others](virtual-servers.md#schedulers), all of which the kernel must have",
			reload: Live,
			words:  []word{keepalived("lb_algo", "lvs_sched")},
		},
		schedulerFlagsField(),
		&field[virtualServer, bool]{
			name: "one_packet", kind: flag(false), in: func(s *virtualServer) *bool { return &s.OnePacket },
			doc:    "of `protocol: udp`: each packet is scheduled by itself, and the answers of `nat` are not translated",
			reload: Live,
			words:  []word{keepalived("ops").write("`one_packet: true`")},
		},
		&field[virtualServer, Forward]{
			name: "forward", kind: oneOf[Forward](forwards), in: func(s *virtualServer) *Forward { return &s.Forward },
			required: enumerate(forwards.words, "or"),
			doc:      "`dr` direct routing, `nat` rewriting of addresses, `tun` IP in IP",
			reload:   Live,
			words:    []word{keepalived("lb_kind", "lvs_method")},
		},
		snatClientsField(),
		&field[virtualServer, bool]{
			name: "initial_state", kind: initialState(), in: func(s *virtualServer) *bool { return &s.InitialUp },
			doc: "`down`: a real server gets connections after its first good checks; `up`: at once, as in keepalived",
			// It matters only until the first result.
			reload: Live,
			words:  []word{keepalived("alpha").write("`initial_state: down`, which is the default")},
		},
		persistenceField(persistenceSection()),
		onFailureField(),
		inhibitField(func(s *virtualServer) *bool { return &s.inhibit }, func(s *virtualServer) bool { return s.OnFailure == Drain }, "`true` if `on_failure` is `drain`, also by default, otherwise `false`"),
	}
}

func readVirtualServers(v value, s *sectionOf[virtualServer]) []placed[virtualServer] {
	list := s.each(v, "virtual servers", virtualServer{})
	unique(list, "name", func(s virtualServer) string { return s.Name })
	unique(list, "fwmark", func(s virtualServer) string {
		if s.Mark == 0 || len(s.servers) == 0 {
			return ""
		}
		return fmt.Sprintf("%d (%s)", s.Mark, kernel.FamilyOf(s.servers[0].v.Address))
	})
	uniqueEndpoints(list)
	return list
}

// uniqueEndpoints rejects two virtual servers for the same packets.
func uniqueEndpoints(list []placed[virtualServer]) {
	type place struct {
		protocol string
		at       netip.AddrPort
	}
	first, by := map[place]int{}, map[place]int{}
	for n, s := range list {
		for one := range s.v.Endpoints() {
			if !one.Address.IsValid() || one.Port == 0 && !s.v.everyPort && s.v.Mark == 0 {
				continue
			}
			p := place{one.Protocol, netip.AddrPortFrom(one.Address, one.Port)}
			at := addressAt(s.at, slices.Index(s.v.addresses(), one.Address))
			if line, ok := first[p]; ok && by[p] == n {
				continue // reported with the list
			} else if ok {
				at.fail("", "%s is a virtual server already, in line %d", p.at, line)
				break
			}
			by[p], first[p] = n, at.place.Line
		}
	}
}

func (v value) serviceAddress() netip.Addr {
	addr := v.routableAddress()
	if addr.IsLoopback() {
		v.fail("", "%s is a loopback address: no client reaches it", addr)
		return netip.Addr{}
	}
	return addr
}

var portNumber = wholeNumber[uint16](1, math.MaxUint16)

var protocols = vocabulary{what: "a protocol", words: []string{"tcp", "udp", "sctp"}}

var schedulers = vocabulary{
	what:  "a scheduler",
	words: []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "mh", "sed", "nq", "fo", "ovf", "twos"},
}

var forwards = vocabulary{
	what:  "a forwarding method",
	words: []string{string(DR), string(NAT), string(TUN)},
	synonyms: map[string]string{ // as in ipvsadm
		"route": "dr", "gatewaying": "dr", "direct": "dr", "masq": "nat", "masquerading": "nat", "ipip": "tun", "tunnel": "tun",
	},
}

// initialState is the state of real servers before their first result.
func initialState() kind[bool] {
	words := oneOf[string](vocabulary{what: "a state", words: []string{"down", "up"}})
	k := scalar(words.text, *words.schema, func(v value) bool { return words.read(v) == "up" })
	k.show = func(up bool) string { return map[bool]string{false: "down", true: "up"}[up] }
	k.json = func(up bool) any { return k.show(up) }
	return k
}

// validateChecks validates the virtual server's own checks once the real servers that use them are known.
func (s *virtualServer) validateChecks(o object) {
	s.VirtualServer.Checks = bare(s.checks)
	o.checkNeeded(s.ChecksNeeded, len(s.checks))
	var ports []uint16
	inherit := false
	for _, rs := range s.members() {
		if _, own := rs.at.fields["checks"]; !own {
			inherit = true
			ports = append(ports, rs.v.Port)
		}
	}
	if inherit && len(s.checks) == 0 && !o.meant["checks"] {
		if v, given := o.fields["checks"]; !given || v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
			o.locate("checks").warn("", "no check: a real server that is down stays in the table")
		}
	}
	s.warnTCP(s.checks, ports)
}

// warnWeights warns about weights that the scheduler ignores and about a pool without positive weights.
func (s *virtualServer) warnWeights(o object) {
	if len(s.servers) == 0 {
		return
	}
	weights := map[int]bool{}
	for _, rs := range s.servers {
		weights[rs.v.Weight] = true
	}
	if len(weights) == 1 && weights[0] {
		o.locate("real_servers").warn("give one of them a weight of 1 or more", "takes no connections: all weights are 0")
	}
	delete(weights, 0) // every scheduler supports weight 0
	if len(weights) < 2 {
		return
	}
	switch s.Scheduler {
	case "rr", "lc":
		o.locate("scheduler").warn("use w"+s.Scheduler, "%s ignores weights, which differ here", s.Scheduler)
	case "dh":
		o.locate("scheduler").warn("use another scheduler", "dh ignores weights, which differ here")
	}
}
