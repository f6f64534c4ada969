package config

// SMTP is the type of an SMTPCheck.
const SMTP CheckType = "smtp"

// SMTPCheck reads the greeting of a mail server, sends EHLO and QUIT.
type SMTPCheck struct {
	noSecret
	Name string // by which the director introduces itself
}

// Type returns SMTP.
func (SMTPCheck) Type() CheckType { return SMTP }

// Network returns OverTCP.
func (SMTPCheck) Network() Network { return OverTCP }

// Probe calls p.SMTP.
func (c SMTPCheck) Probe(p Prober) { p.SMTP(c) }

func (SMTPCheck) sealed() {}

func smtpKind() checkKind {
	return kindOf[SMTPCheck]{
		name: SMTP, doc: "a mail server greets, answers EHLO and QUIT",
		fields: []key[SMTPCheck]{
			&field[SMTPCheck, string]{
				name: "helo", kind: texts("text", Schema{Pattern: `^[!-~]{1,255}$`}, value.visible), in: func(c *SMTPCheck) *string { return &c.Name },
				def: "lvs-director", doc: "the name in EHLO", reload: Restart,
				words: []word{keepalived("helo_name")},
			},
		},
	}.declare()
}

// visible reads a word of at most 255 visible characters of ASCII.
func (v value) visible() string {
	s := v.text()
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || len(s) > 255 {
			v.fail("", "%s is not a word of at most 255 visible characters of ASCII%s", quote(s), nonASCII(s))
			return ""
		}
	}
	return s
}
