package config

import (
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"
)

// maxPersistence is 31 days, as in ipvsadm.
const maxPersistence = 31 * 24 * time.Hour

// virtualServer is a VirtualServer with the places of its parts; v.RealServers stays empty.
type virtualServer struct {
	placed[VirtualServer]
	checks  []placed[Check]
	servers []placed[RealServer]
}

func readVirtualServers(v value) []virtualServer {
	var list []virtualServer
	for _, item := range v.items("virtual servers") {
		if o, ok := item.object("a virtual server with name, address, port, scheduler, forward and real_servers", virtualServerSection); ok {
			list = append(list, readVirtualServer(o))
		}
	}
	var plain []placed[VirtualServer]
	for _, s := range list {
		plain = append(plain, s.placed)
	}
	unique(plain, "name", func(s VirtualServer) string { return s.Name })
	first := map[netip.AddrPort]int{}
	for _, s := range plain {
		if !s.v.Address.IsValid() || s.v.Port == 0 {
			continue
		}
		at := netip.AddrPortFrom(s.v.Address, s.v.Port)
		if line, ok := first[at]; ok {
			s.at.locate("address").fail("", "%s is a virtual server already, in line %d", at, line)
			continue
		}
		first[at] = s.at.locate("address").place.Line
	}
	return list
}

func readVirtualServer(o object) virtualServer {
	s := virtualServer{placed: placed[VirtualServer]{at: o, v: VirtualServer{
		Name:        required(o, "name", "a name for status and commands", value.name),
		Address:     required(o, "address", "the address that clients dial", value.serviceAddress),
		Port:        required(o, "port", "the port that clients dial", value.port),
		Protocol:    optional(o, "protocol", "tcp", value.protocol),
		Scheduler:   required(o, "scheduler", "rr, wrr, lc or wlc", value.scheduler),
		Forward:     required(o, "forward", "dr, nat or tun", value.forward),
		InitialUp:   optional(o, "initial_state", false, value.initiallyUp),
		Persistence: optional(o, "persistence", nil, readPersistence),
	}}}
	s.checks = optional(o, "checks", nil, readChecks)
	s.v.Checks = bare(s.checks)
	s.servers = required(o, "real_servers", "a list of real servers, each with name and address", s.readRealServers)
	s.checkChecks()
	return s
}

func (v value) serviceAddress() netip.Addr {
	addr := v.address()
	if addr.IsLoopback() {
		v.fail("", "%s is a loopback address: no client reaches it", addr)
		return netip.Addr{}
	}
	return addr
}

var protocols = vocabulary{what: "a protocol", words: []string{"tcp"}, reserved: []string{"udp", "sctp"}}

var schedulers = vocabulary{
	what:     "a scheduler",
	words:    []string{"rr", "wrr", "lc", "wlc"},
	reserved: []string{"lblc", "lblcr", "sh", "dh", "mh", "sed", "nq", "fo", "ovf", "twos"},
}

var forwards = vocabulary{
	what:  "a forwarding method",
	words: []string{string(DR), string(NAT), string(TUN)},
	synonyms: map[string]string{ // as ipvsadm says it
		"route": "dr", "gatewaying": "dr", "direct": "dr", "masq": "nat", "masquerading": "nat", "ipip": "tun", "tunnel": "tun",
	},
}

var initialStates = vocabulary{what: "a state", words: []string{"down", "up"}}

func (v value) protocol() string  { return v.oneOf(protocols) }
func (v value) scheduler() string { return v.oneOf(schedulers) }
func (v value) forward() Forward  { return Forward(v.oneOf(forwards)) }
func (v value) initiallyUp() bool { return v.oneOf(initialStates) == "up" }

func readPersistence(v value) *Persistence {
	o, ok := v.object("a mapping with timeout", persistenceSection)
	if !ok {
		return nil
	}
	return &Persistence{
		Timeout: required(o, "timeout", "how long a client stays on its real server, for example 50s", func(v value) time.Duration {
			d, _ := v.seconds(time.Second, maxPersistence)
			return d
		}),
		Netmask: optional(o, "netmask", 32, value.netmask),
	}
}

func (v value) netmask() int {
	if mask, err := netip.ParseAddr(v.node.Value); err == nil && mask.Is4() && v.node.Kind == yaml.ScalarNode {
		v.fail("255.255.255.0 is 24", "%s is not a prefix length: want a number from 1 to 32", mask)
		return 0
	}
	n, _ := v.whole(1, 32)
	return n
}
