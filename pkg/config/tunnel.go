package config

import "strings"

// Tunnel is how packets to a real server with forward: tun are encapsulated. The zero value is IP in IP. Values are
// comparable.
type Tunnel struct {
	Type     string // "" IP in IP, "gre", "gue"
	Port     uint16 // of gue: the UDP port on the real server
	Checksum string // "" none; of gre and gue: "full", of the whole packet; of gue: "remote", which the network card computes
}

// The types and checksums of a Tunnel.
const (
	IPIP = "" // written "ipip"
	GRE  = "gre"
	GUE  = "gue"

	NoChecksum     = "" // written "none"
	FullChecksum   = "full"
	RemoteChecksum = "remote"
)

// Overhead is how many bytes the encapsulation in IPv4 adds to a packet (ip_vs_tunnel_xmit).
func (t Tunnel) Overhead() int {
	const header, udp, gue, remote = 20, 8, 4, 8
	switch {
	case t.Type == GRE && t.Checksum != NoChecksum:
		return header + 8
	case t.Type == GRE:
		return header + 4
	case t.Type == GUE && t.Checksum == RemoteChecksum:
		return header + udp + gue + remote
	case t.Type == GUE:
		return header + udp + gue
	default:
		return header
	}
}

// String is "ipip", "gre", "gue port 5555" with ", full checksum" or ", remote checksum".
func (t Tunnel) String() string {
	text := t.Type
	switch t.Type {
	case IPIP:
		text = "ipip"
	case GUE:
		text += " port " + portNumber.show(t.Port)
	}
	if t.Checksum != NoChecksum {
		text += ", " + t.Checksum + " checksum"
	}
	return text
}

func tunnelSection() *sectionOf[Tunnel] {
	s := &sectionOf[Tunnel]{
		section: section{
			name: "tunnel", part: true, what: "a mapping with type",
			words: []word{
				synonyms("csum").write("`checksum: full`"),
				synonyms("nocsum").write("`checksum: none`"),
				synonyms("remcsum").write("`checksum: remote`"),
			},
		},
		rules: checkTunnel,
	}
	s.fields = []key[Tunnel]{
		&field[Tunnel, string]{
			name: "type", kind: zeroWord(IPIP, "ipip", vocabulary{
				what: "a type of tunnel", words: []string{"ipip", GRE, GUE},
				synonyms: map[string]string{"ip": "ipip", "fou": GUE},
			}), in: func(t *Tunnel) *string { return &t.Type },
			required: "ipip, gre or gue",
			doc:      "`ipip` IP in IP, `gre` GRE, `gue` GUE, which is UDP",
			reload:   Live,
		},
		&field[Tunnel, uint16]{
			name: "port", kind: portNumber, in: func(t *Tunnel) *uint16 { return &t.Port }, unset: "required for `gue`",
			doc: "of `gue`: the UDP port on which the real server receives it", reload: Live,
		},
		&field[Tunnel, string]{
			name: "checksum", kind: zeroWord(NoChecksum, "none", vocabulary{
				what: "a checksum", words: []string{"none", FullChecksum, RemoteChecksum},
			}), in: func(t *Tunnel) *string { return &t.Checksum }, unset: "`none`",
			doc:    "of `gre` and `gue`: `none`, or `full`, of the whole packet; of `gue` also `remote`: remote checksum offload",
			reload: Live,
		},
	}
	return s.build()
}

// zeroWord is a word from a vocabulary, one of which is another value: the zero value.
func zeroWord(zero, word string, voc vocabulary) kind[string] {
	words := oneOf[string](voc)
	return scalar(words.text, *words.schema, func(v value) string {
		if read := words.read(v); read != word {
			return read
		}
		return zero
	})
}

// checkTunnel compares the keys of a tunnel with its type.
func checkTunnel(t *Tunnel, o object) {
	if v, given := o.fields["type"]; !given || t.Type == IPIP && !strings.Contains(v.node.Value, "ip") {
		return // it has a problem of its own
	}
	_, port := o.fields["port"]
	switch {
	case t.Type == GUE && !port:
		o.locate("port").fail("add the port of ip fou on the real server, such as port: 5555", "is required for type: gue")
	case t.Type != GUE && port:
		o.locate("port").fail("remove it", "is for type: gue: %s has no port", t)
	}
	switch {
	case t.Type == IPIP && t.Checksum != NoChecksum:
		o.locate("checksum").fail("remove it, or use type: gre or gue", "is for type: gre and gue: IP in IP has no checksum")
	case t.Type == GRE && t.Checksum == RemoteChecksum:
		o.locate("checksum").fail("write checksum: full or none", "remote is for type: gue: GRE cannot do that")
	}
}

func tunnelField(s *sectionOf[Tunnel]) key[realServer] {
	return &field[realServer, Tunnel]{
		name: "tunnel", in: func(rs *realServer) *Tunnel { return &rs.Tunnel },
		kind: kind[Tunnel]{
			form: form{text: "mapping", schema: &Schema{Type: "object"}, inside: &s.section},
			read: func(v value) (t Tunnel) {
				if o, ok := v.object(&s.section); ok {
					s.take(o, &t)
				}
				return t
			},
			same: func(a, b Tunnel) bool { return a == b },
		},
		unset: "IP in IP", doc: "of `forward: tun`: the encapsulation",
		words: []word{
			keepalived("lvs_method_type", "tun_type").write("`tunnel: {type: gre}`"),
		},
	}
}

// forwardOfServerField declares the forwarding method of one real server.
func forwardOfServerField() key[realServer] {
	return &field[realServer, Forward]{
		name: "forward", kind: oneOf[Forward](forwards), in: func(rs *realServer) *Forward { return &rs.Forward },
		defOf: func(rs *realServer) Forward { return rs.of.Forward }, unset: "the virtual server's",
		doc:    "as in the virtual server; the real servers of one may have several methods",
		reload: Live,
		words:  []word{keepalived("lvs_method")},
	}
}

// checkForward compares a real server's forwarding method with its other keys.
func (rs *realServer) checkForward(o object) {
	if rs.Forward == "" {
		return
	}
	if of := rs.of; rs.Forward != NAT && of.Port != 0 && rs.Port != 0 && rs.Port != of.Port && !of.manyPorts() {
		o.locate("port").fail("use forward: nat", "%d differs from the virtual server's %d: %s cannot change the port", rs.Port, of.Port, strings.ToUpper(string(rs.Forward)))
	}
	if _, given := o.fields["tunnel"]; given && rs.Forward != TUN {
		o.locate("tunnel").fail("remove it, or write forward: tun", "is for forward: tun, and %s has forward: %s", rs.Name, rs.Forward)
	}
}
