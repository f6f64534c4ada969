package config

import (
	"cmp"
	"slices"
)

// checkKinds are the kinds of checks, in the order of the reference. Each kind has one file in this package that
// declares it and one in package probe that runs it. This function, Prober and Holder are the only lists of kinds, and
// trackKinds for those that are tracks only.
func checkKinds() []checkKind {
	return []checkKind{
		tcpKind(),
		mysqlKind(),
		httpKind(),
		httpsKind(),
		tlsKind(),
		dnsKind(),
		smtpKind(),
		udpKind(),
		pingKind(),
		commandKind(),
		fileKind(),
	}
}

// Prober runs checks: it has one method per kind.
type Prober interface {
	TCP(TCPCheck)
	MySQL(MySQLCheck)
	HTTP(HTTPCheck)
	TLS(TLSCheck)
	DNS(DNSCheck)
	SMTP(SMTPCheck)
	UDP(UDPCheck)
	Ping(PingCheck)
	Command(CommandCheck)
	File(FileCheck)
	Gateway(GatewayCheck)
}

// CheckKind describes what a check does: a value of one of the types named in Prober. Values are comparable; equal
// values describe the same check.
type CheckKind interface {
	// Type is the value of `type` in the cluster file.
	Type() CheckType
	// SecretFile is the absolute path of the file with the secret that the prober needs; "" if it needs none.
	SecretFile() string
	// Network is how the check reaches its server.
	Network() Network
	// Probe calls the prober's method for this kind.
	Probe(Prober)
	sealed()
}

// Network is how a check reaches its server. The zero value is a check that sends nothing to it.
type Network string

// The networks of checks.
const (
	OverTCP  Network = "tcp"
	OverUDP  Network = "udp"
	OverICMP Network = "icmp"
)

// Certified is a CheckKind that reads certificates.
type Certified interface {
	// CertificateFiles are the absolute paths of the file with the authorities that it trusts, and of that with its own
	// certificate and key, which is a secret; "" for none.
	CertificateFiles() (authorities, own string)
}

// Keeper is a CheckKind that can keep a connection to its server. The server's kernel ends it when the process that serves dies,
// so the next checks need not wait for their time.
type Keeper interface {
	KeepsConnection() bool
	// Hold calls the holder's method for this kind.
	Hold(Holder)
}

// Holder keeps connections: it has one method per kind that can.
type Holder interface {
	TCP(TCPCheck)
	MySQL(MySQLCheck)
}

// noSecret is embedded by kinds that need no secret.
type noSecret struct{}

func (noSecret) SecretFile() string { return "" }

// checkValue is a comparable CheckKind.
type checkValue interface {
	comparable
	CheckKind
}

// kindOf declares a kind of check whose values are of type K.
type kindOf[K checkValue] struct {
	name CheckType
	doc  string // the condition for passing, without a full stop
	// stray is the end of the error message for a key of this kind in a check of another kind, such as "does not log
	// in"; "" means "has no" and the key.
	stray  string
	fields []key[K]
	rules  func(k *K, o object)
	// serverOnly: there is no track of the kind, or one that is declared for itself.
	serverOnly bool
}

// declare returns the declaration without its type parameter.
func (k kindOf[K]) declare() checkKind {
	s := (&sectionOf[K]{fields: k.fields, rules: k.rules}).build()
	for _, d := range s.keys {
		d.kinds, d.stray = []CheckType{k.name}, k.stray
	}
	return checkKind{
		name: k.name, doc: k.doc, keys: s.keys, serverOnly: k.serverOnly,
		read: func(o object) CheckKind {
			var check K
			s.take(o, &check)
			return check
		},
		validate: func(o object) { s.given(o, new(K)) },
	}
}

// checkKind is a kindOf without its type parameter.
type checkKind struct {
	name CheckType
	doc  string
	keys []*declaration
	read func(o object) CheckKind
	// validate reports errors in the keys of a check that may be of this kind.
	validate   func(o object)
	serverOnly bool
}

// kindKeys are the keys of all kinds. A key that several kinds share is listed once, with all its meanings.
func kindKeys(kinds []checkKind) []*declaration {
	var all []*declaration
	for _, k := range kinds {
		for _, d := range k.keys {
			if i := slices.IndexFunc(all, func(known *declaration) bool { return known.name == d.name }); i >= 0 {
				all[i].share(d)
				continue
			}
			own := *d
			all = append(all, &own)
		}
	}
	return all
}

// readKind returns a reader of the keys that are specific to one kind of check. It rejects keys of other kinds. Without
// a valid type it returns nil and validates the keys against the first kind that has one of them.
func readKind(kinds []checkKind) func(name CheckType, o object) CheckKind {
	all := kindKeys(kinds)
	return func(name CheckType, o object) CheckKind {
		i := slices.IndexFunc(kinds, func(k checkKind) bool { return k.name == name })
		if i < 0 {
			if i = slices.IndexFunc(kinds, func(k checkKind) bool { return k.knows(o) }); i >= 0 {
				kinds[i].validate(o)
			}
			return nil
		}
		for _, d := range all {
			if v, given := o.fields[d.name]; given && !d.of(name) {
				v.fail("use type: "+enumerate(words(d.kinds), "or")+", or remove it", "a %s check %s", name, cmp.Or(d.stray, "has no "+d.name))
			}
		}
		return kinds[i].read(o)
	}
}

// knows reports whether a check has a key of this kind.
func (k checkKind) knows(o object) bool {
	return slices.ContainsFunc(k.keys, func(d *declaration) bool { _, given := o.fields[d.name]; return given })
}

func words(types []CheckType) []string {
	var all []string
	for _, t := range types {
		all = append(all, string(t))
	}
	return all
}
