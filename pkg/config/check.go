package config

import (
	"math"
	"strings"
	"time"
)

const (
	minInterval     = 100 * time.Millisecond
	maxInterval     = time.Hour
	defaultInterval = time.Second
	// defaultTimeout is the most that a check waits by default; a shorter interval shortens it.
	defaultTimeout = 3 * time.Second
	minTimeout     = 10 * time.Millisecond
	defaultCount   = 2 // fall and rise
	maxCount       = 100
)

func readChecks(v value) []placed[Check] {
	list := []placed[Check]{}
	for _, item := range v.items("checks") {
		if o, ok := item.object("a check with its type", checkSection); ok {
			list = append(list, placed[Check]{v: readCheck(o), at: o})
		}
	}
	return list
}

// readCheck reads the keys that a check and a track share.
func readCheck(o object) Check {
	c := Check{
		Type: required(o, "type", "tcp or mysql", value.checkType),
		Interval: optional(o, "interval", defaultInterval, func(v value) time.Duration {
			d, _ := v.duration(minInterval, maxInterval)
			return d
		}),
		Fall:         optional(o, "fall", defaultCount, value.count),
		Rise:         optional(o, "rise", defaultCount, value.count),
		Port:         optional(o, "port", 0, value.port),
		PasswordFile: optional(o, "password_file", "", value.absolutePath),
	}
	c.Timeout = optional(o, "timeout", min(c.Interval, defaultTimeout), func(v value) time.Duration {
		d, ok := v.duration(minTimeout, maxInterval)
		if ok && c.Interval > 0 && d > c.Interval {
			v.fail("", "%s is longer than the interval %s: the next check would start before this one ends", span(d), span(c.Interval))
			return 0
		}
		return d
	})
	switch c.Type {
	case MySQL:
		c.User = required(o, "user", "the MySQL account that checks log in with", value.text)
		if _, given := o.fields["password_file"]; !given && !o.meant["password_file"] {
			o.locate("password_file").warn("", "is not given: the check logs in with an empty password")
		}
	case TCP:
		for _, key := range []string{"user", "password_file"} {
			if v, given := o.fields[key]; given {
				v.fail("use type: mysql, or remove it", "a tcp check does not log in")
			}
		}
	}
	return c
}

var checkTypes = vocabulary{what: "a type of check", words: []string{string(TCP), string(MySQL)}}

func (v value) checkType() CheckType { return CheckType(v.oneOf(checkTypes)) }

func (v value) count() int {
	n, _ := v.whole(1, maxCount)
	return n
}

// absolutePath reads the name of a file: it means the same wherever a daemon was started.
func (v value) absolutePath() string {
	s := v.text()
	if s != "" && (!strings.HasPrefix(s, "/") || strings.ContainsRune(s, 0)) {
		v.fail("", "%s is not an absolute path", quote(s))
		return ""
	}
	return s
}

// unchecks returns the checks without their places; nil only if list is nil.
func unchecks(list []placed[Check]) []Check {
	if list == nil {
		return nil
	}
	return append([]Check{}, bare(list)...)
}

// isMySQLPort says whether MySQL listens on this port by default: 3306, and 33060 for its X protocol.
func isMySQLPort(port uint16) bool { return port == 3306 || port == 33060 }

// speaksMySQL says whether a virtual server of this name is one of MySQL.
func speaksMySQL(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "mysql") || strings.Contains(name, "mariadb")
}

// warnHalfLogin warns about a check that opens connections to MySQL and closes them without a login: MySQL counts each
// in Aborted_connects and, after max_connect_errors of them, refuses the director's address (error 1129), while the
// check goes on to succeed.
func warnHalfLogin(o object) {
	o.locate("type").warn("use type: mysql with user and password_file",
		"a tcp check makes MySQL count Aborted_connects and block the director's address after max_connect_errors")
}

func readTracks(v value) []placed[Track] {
	var list []placed[Track]
	for _, item := range v.items("tracks") {
		o, ok := item.object("a track with name, type, address and port", trackSection)
		if !ok {
			continue
		}
		t := Track{
			Name:    required(o, "name", "the name that instances track it by", value.name),
			Address: required(o, "address", "the address to check, for example 127.0.0.1", value.address),
			Check:   readCheck(o),
		}
		if _, given := o.fields["port"]; !given && !o.meant["port"] {
			o.locate("port").fail("", "is required: a number from 1 to %d", math.MaxUint16)
		}
		if t.Check.Type == TCP && isMySQLPort(t.Check.Port) {
			warnHalfLogin(o)
		}
		list = append(list, placed[Track]{v: t, at: o})
	}
	unique(list, "name", func(t Track) string { return t.Name })
	return list
}
