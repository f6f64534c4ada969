package config

import "strings"

// DNS is the type of a DNSCheck.
const DNS CheckType = "dns"

// DNSCheck asks a name server for a record, over UDP.
type DNSCheck struct {
	noSecret
	Name   string // with a dot at its end
	Record string // "SOA", "A", …: one of RecordTypes
	Answer Answer // one of the answers, as text
}

// RecordTypes are the types of records that a DNS check can ask for.
func RecordTypes() []string {
	return []string{"SOA", "NS", "A", "AAAA", "CNAME", "MX", "TXT", "SRV", "PTR"}
}

// Type returns DNS.
func (DNSCheck) Type() CheckType { return DNS }

// Network returns OverUDP.
func (DNSCheck) Network() Network { return OverUDP }

// Probe calls p.DNS.
func (c DNSCheck) Probe(p Prober) { p.DNS(c) }

func (DNSCheck) sealed() {}

func dnsKind() checkKind {
	return kindOf[DNSCheck]{
		name: DNS, doc: "a name server answers a question without an error",
		fields: append([]key[DNSCheck]{
			&field[DNSCheck, string]{
				name: "query", kind: texts("domain name", Schema{Pattern: `^[!-~]{1,254}$`}, value.domain), in: func(c *DNSCheck) *string { return &c.Name },
				def: ".", doc: "the name to ask for", reload: Restart,
			},
			&field[DNSCheck, string]{
				name: "record", kind: oneOf[string](vocabulary{what: "a type of record", words: RecordTypes()}), in: func(c *DNSCheck) *string { return &c.Record },
				def: "SOA", doc: "the type of the record to ask for", reload: Restart,
			},
		}, answerFields(func(c *DNSCheck) *Answer { return &c.Answer })...),
	}.declare()
}

// domain reads a domain name, with or without the dot at its end.
func (v value) domain() string {
	s := v.visible()
	if s == "" {
		return ""
	}
	name := strings.TrimSuffix(s, ".")
	for label := range strings.SplitSeq(name, ".") {
		if len(name) > 253 || len(label) > 63 || label == "" && name != "" {
			v.fail("", "%s is not a domain name: labels of 1 to 63 characters, 253 in all", quote(s))
			return ""
		}
	}
	return name + "."
}
