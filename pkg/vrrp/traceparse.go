package vrrp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxTraceTime limits the times and intervals in a trace, so that no sum of them overflows.
const maxTraceTime = 1 << 60 * time.Nanosecond

// ParseTrace reads the text form of a trace or a hand-written script: actions are not read but computed again, and
// lines that begin with a tab, a space or "#" are skipped.
func ParseTrace(text string) (*Trace, error) {
	var m *Machine
	var t *Trace
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r ")
		if line == "" || strings.ContainsAny(line[:1], "\t #") {
			continue
		}
		if m == nil {
			var err error
			if m, err = parseMachine(line); err != nil {
				return nil, fmt.Errorf("parse trace: line %d: %w", i+1, err)
			}
			t = NewTrace(m, strings.Count(text, "\n")+1)
			continue
		}
		at, ev, err := parseEntry(line)
		if err != nil {
			return nil, fmt.Errorf("parse trace: line %d: %w", i+1, err)
		}
		t.Step(m, at, ev)
	}
	if t == nil {
		return nil, errors.New(`parse trace: no line "params …" or "machine {…}"; is this a trace?`)
	}
	return t, nil
}

// ParseTraces reads several consecutive traces, as a daemon with several instances prints them: each begins with its
// line "params …" or "machine {…}".
func ParseTraces(text string) ([]*Trace, error) {
	var parts []string
	for line := range strings.Lines(text) {
		if word, _, _ := strings.Cut(line, " "); word == "params" || word == "machine" {
			parts = append(parts, line)
		} else if len(parts) > 0 {
			parts[len(parts)-1] += line
		}
	}
	if len(parts) == 0 {
		parts = []string{text} // ParseTrace reports what is missing
	}
	all := make([]*Trace, len(parts))
	for i, part := range parts {
		var err error
		if all[i], err = ParseTrace(part); err != nil {
			return nil, fmt.Errorf("trace %d: %w", i+1, err)
		}
	}
	return all, nil
}

func parseMachine(line string) (*Machine, error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "params":
		p, err := parseParams(rest)
		if err != nil {
			return nil, err
		}
		return NewMachine(p), nil
	case "machine":
		var s snapshot
		if err := json.Unmarshal([]byte(rest), &s); err != nil {
			return nil, err
		}
		m := NewMachine(Params{
			VRID: s.VRID, Version: s.Version, Priority: s.Priority, AdvertInterval: s.AdvertInterval, Preempt: s.Preempt,
			PreemptDelay: s.PreemptDelay, Source: s.Source, AuthType: s.AuthType,
			DownAdverts: s.DownAdverts, HigherPrioNoAdvert: s.HigherPrioNoAdvert, LowerPrioNoAdvert: s.LowerPrioNoAdvert,
			OwnerIgnoresAdverts: s.OwnerIgnoresAdverts, Grouped: s.Grouped,
		})
		m.mem = s.Memory
		return m, nil
	}
	return nil, fmt.Errorf(`begins with %q, want "params" or "machine"`, word)
}

func parseEntry(line string) (time.Duration, Event, error) {
	when, rest, _ := strings.Cut(line, " ")
	at, err := parseSpan(when)
	if err != nil {
		return 0, nil, err
	}
	ev, err := ParseEvent(rest)
	return at, ev, err
}

// plainEvents are the events without contents.
func plainEvents() []Event {
	return []Event{TakeOver{}, Reannounce{}, TakeBack{}, Succeeded{}, Hearing{}, Tick{}, Shutdown{}, Ready{}, Recover{}}
}

// ParseEvent reads an event in the form that its String returns.
func ParseEvent(s string) (Event, error) {
	word, rest, _ := strings.Cut(s, " ")
	for _, plain := range plainEvents() {
		if plain.String() == word {
			return plain, nil
		}
	}
	switch word {
	case "startup":
		return parseStartup(rest)
	case "deaf":
		return parseDeaf(rest)
	case "step_down":
		return parseStepDown(rest)
	case "advert":
		return parseAdvert(rest)
	case "evidence":
		return parseEvidence(rest)
	case "peer_lost":
		return parsePeerLost(rest)
	case "reconfigure":
		p, err := parseParams(rest)
		return Reconfigure{Params: p}, err
	case "not_ready":
		return parseNotReady(rest)
	case "fault", "degraded", "lost", "gate", "hand_over":
		resign := false
		if word == "hand_over" {
			rest, resign = strings.CutPrefix(rest, "resign ")
		}
		text, err := strconv.Unquote(rest)
		if err != nil {
			return nil, fmt.Errorf("event %s: reason %s is not a quoted string", word, rest)
		}
		switch word {
		case "fault":
			return Faulted{Reason: text}, nil
		case "degraded":
			return Degraded{Reason: text}, nil
		case "gate":
			return Gate{Reason: text}, nil
		case "hand_over":
			return HandOver{Reason: text, Resign: resign}, nil
		}
		return Lost{Reason: text}, nil
	}
	return nil, fmt.Errorf("unknown event %q", word)
}

func parseNotReady(s string) (Event, error) {
	text, empty := strings.CutPrefix(s, "empty ")
	reason, err := strconv.Unquote(text)
	if err != nil {
		return nil, fmt.Errorf("event not_ready: reason %s is not a quoted string", text)
	}
	return NotReady{Reason: reason, Empty: empty}, nil
}

func parseStartup(s string) (Event, error) {
	var e Startup
	err := eachField(s, func(key, value string) (err error) {
		if key != "delay" {
			return errors.New("unknown field")
		}
		e.Delay, err = parseSpan(value)
		return err
	})
	return e, err
}

func parseDeaf(s string) (Event, error) {
	var e Deaf
	err := eachField(s, func(key, value string) (err error) {
		if key != "for" {
			return errors.New("unknown field")
		}
		e.For, err = parseSpan(value)
		return err
	})
	return e, err
}

func parseStepDown(s string) (Event, error) {
	how, text, _ := strings.Cut(s, " ")
	e := StepDown{How: StepDownHow(slices.Index(stepDownHows[:], how))}
	var err error
	if e.Reason, err = strconv.Unquote(text); err != nil || !slices.Contains(stepDownHows[:], how) {
		return nil, fmt.Errorf("event step_down: want %s and a quoted reason", strings.Join(stepDownHows[:], ", "))
	}
	return e, nil
}

func parseAdvert(s string) (Event, error) {
	var a Advert
	err := eachField(s, func(key, value string) (err error) {
		switch key {
		case "source":
			a.Source, err = parseAddr(value)
		case "priority":
			a.Priority, err = parseByte(value)
		case "interval":
			a.Interval, err = parseSpan(value)
		default:
			err = errors.New("unknown field")
		}
		return err
	})
	return a, err
}

func parseEvidence(s string) (Event, error) {
	var e Evidence
	err := eachField(s, func(key, value string) (err error) {
		switch key {
		case "source":
			e.Source, err = parseAddr(value)
		case "priority":
			e.Priority, err = parseByte(value)
		case "interval":
			e.Interval, err = parseSpan(value)
		case "director":
			e.Director, err = strconv.ParseBool(value)
		case "version":
			e.Version, err = parseByte(value)
		case "auth":
			e.AuthType, err = parseByte(value)
		case "why":
			e.Why, err = parseDropReason(value)
		default:
			err = errors.New("unknown field")
		}
		return err
	})
	return e, err
}

func parsePeerLost(s string) (Event, error) {
	var e PeerLost
	err := eachField(s, func(key, value string) (err error) {
		switch key {
		case "source":
			e.Source, err = parseAddr(value)
		case "silent":
			e.Silent, err = parseSpan(value)
		default:
			err = errors.New("unknown field")
		}
		return err
	})
	return e, err
}

func parseParams(s string) (Params, error) {
	var p Params
	err := eachField(s, func(key, value string) (err error) {
		switch key {
		case "vrid":
			p.VRID, err = parseByte(value)
		case "version":
			p.Version, err = parseByte(value)
		case "priority":
			p.Priority, err = parseByte(value)
		case "interval":
			p.AdvertInterval, err = parseSpan(value)
		case "preempt":
			p.Preempt, err = strconv.ParseBool(value)
		case "preempt_delay":
			p.PreemptDelay, err = parseSpan(value)
		case "source":
			p.Source, err = parseAddr(value)
		case "auth":
			p.AuthType, err = parseByte(value)
		case "down_adverts":
			p.DownAdverts, err = parseByte(value)
		default:
			err = p.parseSwitch(key, value)
		}
		return err
	})
	return p, err
}

func (p *Params) parseSwitch(key, value string) (err error) {
	for _, one := range p.switches() {
		if one.name == key {
			*one.on, err = strconv.ParseBool(value)
			return err
		}
	}
	return errors.New("unknown field")
}

func eachField(s string, set func(key, value string) error) error {
	for _, field := range strings.Fields(s) {
		key, value, _ := strings.Cut(field, "=")
		if err := set(key, value); err != nil {
			return fmt.Errorf("field %q: %w", field, err)
		}
	}
	return nil
}

func parseByte(s string) (uint8, error) {
	n, err := strconv.ParseUint(s, 10, 8)
	return uint8(n), err
}

func parseSpan(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && (d < 0 || d > maxTraceTime) {
		err = fmt.Errorf("time %s is out of range", s)
	}
	return d, err
}

// formatAddr is netip.Addr.String, except that the zero Addr becomes "none", a word without a space that parseAddr
// accepts.
func formatAddr(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func parseAddr(s string) (netip.Addr, error) {
	if s == "none" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(s)
}
