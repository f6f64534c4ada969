package config

// FileCheck reads the number in a file; 0 is good, and with SetsWeight any that is not negative.
type FileCheck struct {
	noSecret
	Path string // absolute
	// SetsWeight: the number is the weight of the real server.
	SetsWeight bool
}

// Type returns File.
func (FileCheck) Type() CheckType { return File }

// Network returns "".
func (FileCheck) Network() Network { return "" }

// Probe calls p.File.
func (c FileCheck) Probe(p Prober) { p.File(c) }

func (FileCheck) sealed() {}

func (c FileCheck) setsWeight() bool { return c.SetsWeight }

func fileKind() checkKind {
	return kindOf[FileCheck]{
		name: File, doc: "the number in a file is 0",
		serverOnly: true, // the track watches the file, and knows weights
		fields: []key[FileCheck]{
			&field[FileCheck, string]{
				name: "path", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(c *FileCheck) *string { return &c.Path },
				required: "the absolute path of the file",
				doc:      "the file; one that is missing or empty counts as 0",
				reload:   Restart,
				words:    []word{keepalived("track_file")},
			},
			setsWeight("the number is the weight of the real server; without the file it is the configured one", func(c *FileCheck) *bool { return &c.SetsWeight }),
		},
		rules: func(c *FileCheck, o object) { o.warnHidden("path", c.Path) },
	}.declare()
}
