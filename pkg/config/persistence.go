package config

import (
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// maxPersistence is 31 days, as in ipvsadm.
const maxPersistence = 31 * 24 * time.Hour

func persistenceSection() *sectionOf[Persistence] {
	s := &sectionOf[Persistence]{section: section{name: "persistence", part: true, what: "a mapping with timeout"}}
	s.fields = []key[Persistence]{
		&field[Persistence, time.Duration]{
			name: "timeout", kind: secondsIn(time.Second, maxPersistence), in: func(p *Persistence) *time.Duration { return &p.Timeout },
			required: "how long a client stays on its real server, for example 50s",
			doc:      "how long a client without connections is remembered",
			reload:   Live,
		},
		&field[Persistence, int]{
			name: "netmask", kind: netmask(), in: func(p *Persistence) *int { return &p.Netmask }, unset: "the whole address",
			doc:    "prefix length: clients whose addresses share it count as one",
			reload: Live,
			words:  []word{keepalived("granularity")},
		},
		&field[Persistence, string]{
			name: "engine", kind: oneOf[string](vocabulary{what: "a persistence engine", words: []string{"sip"}}), in: func(p *Persistence) *string { return &p.Engine },
			unset:  "none",
			doc:    "`sip`, with `protocol: udp`: the clients that `netmask` makes one are distributed by call (Call-ID). The kernel must have it (`ip_vs_pe_sip`)",
			reload: Live,
		},
	}
	return s.build()
}

func persistenceField(s *sectionOf[Persistence]) key[virtualServer] {
	return &field[virtualServer, *Persistence]{
		name: "persistence", in: func(v *virtualServer) **Persistence { return &v.Persistence },
		kind: kind[*Persistence]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) *Persistence {
				o, ok := v.object(&s.section)
				if !ok {
					return nil
				}
				p := new(Persistence)
				s.take(o, p)
				return p
			},
		},
		unset: "none", doc: "keeps a client on the real server that it was first assigned",
		words: []word{
			keepalived("persistence_timeout").write("`persistence: {timeout: 50s}`"),
			keepalived("persistence_engine").write("`persistence: {timeout: 50s, engine: sip}`"),
			keepalived("persistence_granularity").write("`persistence: {timeout: 50s, netmask: 24}`"),
		},
	}
}

func netmask() kind[int] {
	k := wholeNumber[int](1, 128)
	number := k.read
	k.read = func(v value) int {
		if mask, err := netip.ParseAddr(v.node.Value); err == nil && kernel.FamilyOf(mask) == kernel.IPv4 && v.node.Kind == yaml.ScalarNode {
			v.fail("255.255.255.0 is 24", "%s is not a prefix length: want a number from 1 to 32", mask)
			return 0
		}
		return number(v)
	}
	return k
}
