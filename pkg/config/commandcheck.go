package config

// CommandCheck runs a program: exit status 0 is good.
type CommandCheck struct {
	noSecret
	Argv   Argv   // the first word is an absolute path
	User   string // that it runs as; "": nobody if the daemon is root, otherwise the daemon's
	Groups Argv   // its groups, the primary one first; "": those of the user
	// SetsWeight: an exit status from 2 on is the weight of the real server, plus 2.
	SetsWeight bool
}

// Type returns Command.
func (CommandCheck) Type() CheckType { return Command }

// Network returns "".
func (CommandCheck) Network() Network { return "" }

// Probe calls p.Command.
func (c CommandCheck) Probe(p Prober) { p.Command(c) }

func (CommandCheck) sealed() {}

func (c CommandCheck) setsWeight() bool { return c.SetsWeight }

// commandKeys are the keys of both checks and tracks.
func commandKeys() []key[CommandCheck] {
	return []key[CommandCheck]{
		&field[CommandCheck, Argv]{
			name: "command", in: func(c *CommandCheck) *Argv { return &c.Argv }, kind: argv(),
			required: "the program and its arguments, for example [/usr/local/bin/check, --fast]",
			doc:      "the program, an absolute path, and its arguments. There is no shell unless it is the program",
			reload:   Restart,
			words:    []word{keepalived("script").write("`command: [/path/to/script, argument]`")},
		},
		&field[CommandCheck, string]{
			name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(c *CommandCheck) *string { return &c.User },
			unset: "`nobody`", doc: "the user that it runs as, by default `nobody`; a program that others than root can replace is not run as `root`",
			reload: Restart,
		},
		&field[CommandCheck, Argv]{
			name: "groups", in: func(c *CommandCheck) *Argv { return &c.Groups }, kind: groups(),
			unset: "those of the user", doc: "its groups, the primary one first", reload: Restart,
		},
	}
}

func (c CommandCheck) validate(o object) {
	if words := c.Argv.Words(); len(words) > 0 {
		o.warnHidden("command", words[0])
	}
	if c.Groups != "" && o.missing("user") {
		o.locate("groups").fail("", "needs a user")
	}
}

func commandTrack() trackKind {
	return scheduled(Command, "a program ends with exit status 0 within the `timeout`", commandKeys(), func(c CommandCheck, o object) CheckKind {
		c.validate(o)
		return c
	})
}

func commandKind() checkKind {
	return kindOf[CommandCheck]{
		name: Command, doc: "a program ends with exit status 0 within the `timeout`; see [checks.md](checks.md#type-command)",
		serverOnly: true,
		fields: append(commandKeys(), setsWeight("an exit status from 2 on is good, and the weight of the real server is the status minus 2",
			func(c *CommandCheck) *bool { return &c.SetsWeight },
			keepalived("misc_dynamic").write("`sets_weight: true`"))),
		rules: func(c *CommandCheck, o object) { c.validate(o) },
	}.declare()
}

// setsWeight is the key of a check that gives its real server a weight.
func setsWeight[K any](doc string, in func(*K) *bool, words ...word) key[K] {
	return &field[K, bool]{name: "sets_weight", kind: flag(false), in: in, doc: doc, reload: Restart, words: words}
}
