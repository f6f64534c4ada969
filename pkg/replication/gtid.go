package replication

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Set is a set of MySQL's global transaction identifiers, by source and tag: "uuid" or "uuid:tag". The numbers of each are
// ascending intervals that do not touch.
type Set map[string][]Interval

// Interval is the numbers First to Last, both included; 1 <= First <= Last.
type Interval struct{ First, Last uint64 }

// ParseSet parses a GTID set as MySQL writes it, for example "uuid:1-5:7,uuid:tag:1-3", also with spaces and newlines
// (MySQL Reference Manual, "GTID Format and Storage"). The empty text is the empty set.
func ParseSet(text string) (Set, error) {
	set := Set{}
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		words := strings.Split(part, ":")
		source := strings.ToLower(strings.TrimSpace(words[0]))
		if !isUUID(source) || len(words) < 2 {
			return nil, fmt.Errorf("GTID set: %.60q is not UUID:NUMBERS", part)
		}
		key := source
		for _, word := range words[1:] {
			word = strings.TrimSpace(word)
			if isTag(word) {
				key = source + ":" + strings.ToLower(word)
				continue
			}
			interval, err := parseInterval(word)
			if err != nil {
				return nil, err
			}
			set[key] = append(set[key], interval)
		}
	}
	for key, all := range set {
		set[key] = join(all)
	}
	return set, nil
}

func isUUID(s string) bool {
	return len(s) == 36 && strings.Trim(s, "0123456789abcdef-") == "" && strings.Count(s, "-") == 4
}

func isTag(s string) bool {
	return s != "" && (s[0] == '_' || 'a' <= s[0]|0x20 && s[0]|0x20 <= 'z')
}

func parseInterval(s string) (Interval, error) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	a, err1 := strconv.ParseUint(first, 10, 63)
	b, err2 := strconv.ParseUint(last, 10, 63)
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return Interval{}, fmt.Errorf("GTID set: %.60q is not a range of numbers", s)
	}
	return Interval{First: a, Last: b}, nil
}

// join sorts intervals and joins those that overlap or touch.
func join(all []Interval) []Interval {
	slices.SortFunc(all, func(a, b Interval) int { return cmp.Compare(a.First, b.First) })
	var out []Interval
	for _, i := range all {
		if n := len(out); n > 0 && i.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, i.Last)
			continue
		}
		out = append(out, i)
	}
	return out
}

// In reports whether all transactions of s are in other.
func (s Set) In(other Set) bool {
	for key, all := range s {
		have := other[key]
		for _, i := range all {
			if !slices.ContainsFunc(have, func(h Interval) bool { return h.First <= i.First && i.Last <= h.Last }) {
				return false
			}
		}
	}
	return true
}

// DomainPosition is a MariaDB GTID position: the last number of each replication domain.
type DomainPosition map[uint32]uint64

// ParseDomains parses a position as MariaDB writes it: "domain-server-number,…". The empty text is the empty position.
func ParseDomains(text string) (DomainPosition, error) {
	position := DomainPosition{}
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		words := strings.Split(part, "-")
		if len(words) != 3 {
			return nil, fmt.Errorf("GTID position: %.60q is not DOMAIN-SERVER-NUMBER", part)
		}
		domain, err1 := strconv.ParseUint(words[0], 10, 32)
		_, err2 := strconv.ParseUint(words[1], 10, 32)
		number, err3 := strconv.ParseUint(words[2], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil || domain > math.MaxUint32 {
			return nil, fmt.Errorf("GTID position: %.60q is not DOMAIN-SERVER-NUMBER", part)
		}
		position[uint32(domain)] = max(position[uint32(domain)], number)
	}
	return position, nil
}

// In reports whether other has reached p in each domain.
func (p DomainPosition) In(other DomainPosition) bool {
	for domain, number := range p {
		if other[domain] < number {
			return false
		}
	}
	return true
}
