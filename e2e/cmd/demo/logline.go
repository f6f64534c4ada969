package main

import (
	"fmt"
	"strconv"
	"strings"
)

// fields reads a line of slog's text format: key=value, key="a quoted value". What it cannot read it leaves out.
func fields(line string) map[string]string {
	found := map[string]string{}
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			break
		}
		value := ""
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			value, _ = strconv.Unquote(quoted)
			line = rest[len(quoted):]
		} else {
			value, line, _ = strings.Cut(rest, " ")
		}
		if i := strings.LastIndexByte(key, ' '); i >= 0 {
			key = key[i+1:]
		}
		found[key] = value
	}
	return found
}

// A telling is what the timeline says of a log line, with the values of some of its keys.
type telling struct {
	format string
	keys   []string
}

// tellings are of a director's elections, verdicts and addresses, by message.
func tellings() map[string]telling {
	return map[string]telling{
		"state":                       {"%s → %s", []string{"from", "reason"}},
		"verdict":                     {"%s is %s", []string{"server", "reason"}},
		"VIPs are up":                 {"has the VIP on %s, leased for %s from the kernel", []string{"interface", "lease"}},
		"VIPs are removed":            {"gives the VIP up", nil},
		"removed a VIP that was left": {"removes the VIP that an earlier run left", nil},
	}
}

// of fills in the values of a line, if it has all of them.
func (t telling) of(f map[string]string) (string, bool) {
	var values []any
	for _, key := range t.keys {
		if f[key] == "" {
			return "", false
		}
		values = append(values, f[key])
	}
	return fmt.Sprintf(t.format, values...), true
}

// sentence is what the timeline tells of a daemon's log line; "" is nothing. Beside the tellings, every warning is told.
func sentence(line string) string {
	f := fields(line)
	if strings.HasPrefix(f["server"], "pulse/") {
		return "" // the demo's own instrument
	}
	if telling, known := tellings()[f["msg"]]; known {
		if text, whole := telling.of(f); whole {
			return text
		}
	}
	if f["level"] == "WARN" || f["level"] == "ERROR" {
		return strings.ToLower(f["level"]) + ": " + f["msg"] + details(f)
	}
	return ""
}

func details(f map[string]string) string {
	for _, key := range []string{"cause", "error", "reason"} {
		if f[key] != "" {
			return ": " + f[key]
		}
	}
	return ""
}
