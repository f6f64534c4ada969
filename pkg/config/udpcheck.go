package config

// UDP is the type of a UDPCheck.
const UDP CheckType = "udp"

// UDPCheck sends a packet. The server is down if it, or a router, says that nothing receives it.
type UDPCheck struct {
	noSecret
	Send   string // bytes; "": an empty packet
	Answer Answer
	// Silent: no answer within the timeout is right, too.
	Silent bool
}

// Type returns UDP.
func (UDPCheck) Type() CheckType { return UDP }

// Network returns OverUDP.
func (UDPCheck) Network() Network { return OverUDP }

// Probe calls p.UDP.
func (c UDPCheck) Probe(p Prober) { p.UDP(c) }

func (UDPCheck) sealed() {}

func udpKind() checkKind {
	fields := append(
		sendFields("nothing; with type `udp` an empty packet", func(c *UDPCheck) *string { return &c.Send }),
		answerFields(func(c *UDPCheck) *Answer { return &c.Answer })...,
	)
	return kindOf[UDPCheck]{
		name: UDP, doc: "no ICMP error comes back, and an answer if `answer` is `required`",
		fields: append(fields, &field[UDPCheck, bool]{
			name: "answer", in: func(c *UDPCheck) *bool { return &c.Silent },
			kind:  wordFor("a demand", "optional", "required"),
			defOf: func(c *UDPCheck) bool { return c.Answer.Any() },
			unset: "`required` with `expect` or `expect_regex`, otherwise `optional`",
			doc:   "`optional`: no answer within the timeout is right, too; then the check takes as long as that", reload: Restart,
			words: []word{keepalived("require_reply").write("`answer: required`")},
		}),
		rules: func(c *UDPCheck, o object) {
			o.oneRequest()
			if c.Silent && !c.Answer.Any() {
				o.locate("answer").fail("remove it, or expect and expect_regex", "an answer that must be a certain one is required")
			}
		},
	}.declare()
}

// wordFor is a word that stands for true, and another one for false.
func wordFor(what, yes, no string) kind[bool] {
	k := oneOf[string](vocabulary{what: what, words: []string{yes, no}})
	return scalar(k.text, *k.schema, func(v value) bool { return k.read(v) == yes })
}
