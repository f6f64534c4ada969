package config

import (
	"math"
	"net/netip"
	"strings"
	"time"
)

const (
	minInterval     = 100 * time.Millisecond
	maxInterval     = time.Hour
	defaultInterval = time.Second
	// defaultTimeout is the upper limit of the default timeout; a shorter interval lowers it.
	defaultTimeout = 3 * time.Second
	minTimeout     = 10 * time.Millisecond
	defaultCount   = 2 // fall and rise
	maxCount       = 100
)

// check is a Check under construction.
type check struct {
	Check
	kind  CheckType
	paced bool // the file sets interval
}

// checkSection is the section of a check of any of these kinds. It knows the keys of all kinds; keys that do not belong
// to the type of a check are rejected once the type is known.
func checkSection(kinds []checkKind) *sectionOf[check] {
	types := vocabulary{what: "a type of check", words: kindNames(kinds)}
	var docs []string
	for _, k := range kinds {
		docs = append(docs, "`"+string(k.name)+"`: "+k.doc)
	}
	read := readKind(kinds)
	s := &sectionOf[check]{
		section: section{name: "checks", what: "a check with its type", notes: tcpNotes, words: checkWords(), schema: func() Schema { return kindSchema(kinds) }},
		rules: func(c *check, o object) {
			c.Kind = read(c.kind, o)
			if c.Mark != 0 && c.Source == "" && !o.missing("mark") {
				o.locate("mark").fail("add source: an interface, or "+SourceDirector, "needs a source: the kernel chooses it by a route without the mark")
			}
		},
	}
	s.fields = append([]key[check]{
		&field[check, CheckType]{
			name: "type", kind: oneOf[CheckType](types), in: func(c *check) *CheckType { return &c.kind },
			required: enumerate(types.words, "or"),
			doc:      strings.Join(docs, ". "),
			reload:   Restart,
			words:    []word{keepalived("misc_path").write("`type: command` with `command`, or `type: mysql`")},
		},
	}, scheduleFields()...)
	s.build()
	s.include(kindKeys(kinds))
	return s
}

func kindNames(kinds []checkKind) (names []string) {
	for _, k := range kinds {
		names = append(names, string(k.name))
	}
	return names
}

// checkWords are hints for words that do not correspond to a key.
func checkWords() []word {
	return []word{
		{names: []string{"weight"}, message: "a check does not change a weight: a server is up or down", hint: "remove it"},
	}
}

// scheduleFields are the keys common to all checks.
func scheduleFields() []key[check] { return append(timeFields(), originFields()...) }

// timeFields are the keys of when checks are made, and of what their results mean.
func timeFields() []key[check] {
	return []key[check]{
		&field[check, time.Duration]{
			name: "interval", kind: durationIn(minInterval, maxInterval), in: func(c *check) *time.Duration { return &c.Interval },
			readAs: func(v value, c *check) time.Duration {
				c.paced = true
				d, _ := v.duration(minInterval, maxInterval)
				return d
			},
			def: defaultInterval, doc: "from the start of one check to the start of the next",
			reload: Restart,
			words:  []word{keepalived("delay_loop")},
		},
		&field[check, time.Duration]{
			name: "timeout", in: func(c *check) *time.Duration { return &c.Timeout },
			kind:   durationOf("duration, from `"+span(minTimeout)+"`", nil),
			readAs: func(v value, c *check) time.Duration { return v.timeout(c.Interval, c.paced) },
			defOf:  func(c *check) time.Duration { return min(c.Interval, defaultTimeout) },
			unset:  "the interval, at most `" + span(defaultTimeout) + "`",
			doc:    "how long a server may take to answer, at most the interval",
			reload: Restart,
			words:  []word{keepalived("connect_timeout", "misc_timeout")},
		},
		&field[check, int]{
			name: "fall", kind: wholeNumber[int](1, maxCount), in: func(c *check) *int { return &c.Fall }, def: defaultCount,
			doc: "failures in a row until the server is down", reload: Restart,
			words: []word{keepalived("retry", "nb_get_retry")},
		},
		&field[check, int]{
			name: "rise", kind: wholeNumber[int](1, maxCount), in: func(c *check) *int { return &c.Rise }, def: defaultCount,
			doc: "successes in a row until it is up", reload: Restart,
		},
		&field[check, time.Duration]{
			name: "retry_interval", kind: durationOf("duration, from `"+span(minTimeout)+"`", nil),
			in:     func(c *check) *time.Duration { return &c.Retry },
			readAs: func(v value, c *check) time.Duration { return v.retry(c.Interval) },
			unset:  "the interval",
			doc:    "from the start of a check to the start of the next one while a server that is up has failed, but not `fall` times yet",
			reload: Restart,
			words:  []word{keepalived("delay_before_retry")},
		},
		&field[check, time.Duration]{
			name: "warmup", kind: durationIn(0, maxInterval), in: func(c *check) *time.Duration { return &c.Warmup },
			doc:    "how long after the start of the director, or after the check is added, the first check comes",
			reload: Restart,
		},
	}
}

// originFields are the keys of where checks go to and come from.
func originFields() []key[check] {
	return []key[check]{
		&field[check, uint32]{
			name: "mark", kind: wholeNumber[uint32](0, math.MaxUint32), in: func(c *check) *uint32 { return &c.Mark },
			unset: "none", doc: "the firewall mark of the packets of the check, for policy routing; it needs a `source`",
			reload: Restart,
			words:  []word{keepalived("fwmark")},
		},
		&field[check, uint16]{
			name: "port", kind: portNumber, in: func(c *check) *uint16 { return &c.Port }, unset: "the real server's",
			doc: "the port to check", reload: Restart,
			words: []word{keepalived("connect_port")},
		},
		&field[check, string]{
			name: "source", kind: texts("interface or `"+SourceDirector+"`", Schema{Pattern: `^[!-.0-9;-~]{1,15}$`, Not: &Schema{Pattern: `^[0-9]+([.][0-9]+){3}$`}}, value.probeSource),
			in:    func(c *check) *string { return &c.Source },
			unset: "the interface of the route",
			doc: "the interface whose own address on each director the check comes from; `" + SourceDirector + "`: " +
				"the director's address under `directors`",
			reload: Restart,
			words:  []word{keepalived("bindto", "bind_if")},
		},
	}
}

// probeSource reads the name of an interface or SourceDirector. An address would belong to one director only.
func (v value) probeSource() string {
	if _, err := netip.ParseAddr(v.node.Value); err == nil {
		v.fail("write the interface that has it, or "+SourceDirector, "%s can only be the address of one director", quote(v.node.Value))
		return ""
	}
	if v.node.Value == "lo" {
		return "lo"
	}
	return v.networkInterface()
}

// timeout reads the timeout of a check that runs once per interval.
func (v value) timeout(interval time.Duration, written bool) time.Duration {
	d, ok := v.duration(minTimeout, maxInterval)
	if ok && interval > 0 && d > interval {
		hint := ""
		if !written {
			hint = "interval: " + span(interval) + " is the default"
		}
		v.fail(hint, "%s is longer than the interval %s: the next check would start before this one ends", span(d), span(interval))
		return 0
	}
	return d
}

// retry reads the time until the next check after one that failed.
func (v value) retry(interval time.Duration) time.Duration {
	d, ok := v.duration(minTimeout, maxInterval)
	if ok && interval > 0 && d > interval {
		v.fail("", "%s is longer than the interval %s", span(d), span(interval))
		return 0
	}
	return d
}

// readChecks reads a list of checks. The result for an empty list is not nil.
func readChecks(v value, s *sectionOf[check]) []placed[Check] {
	list := s.each(v, "checks", check{})
	checks := make([]placed[Check], 0, len(list))
	for _, c := range list {
		checks = append(checks, placed[Check]{v: c.v.Check, at: c.at})
	}
	return checks
}

// absolutePath reads a file name. It must be absolute so that it does not depend on the working directory of a daemon.
func (v value) absolutePath() string {
	s := v.text()
	if s != "" && (!strings.HasPrefix(s, "/") || strings.ContainsRune(s, 0)) {
		v.fail("", "%s is not an absolute path", quote(s))
		return ""
	}
	return s
}
