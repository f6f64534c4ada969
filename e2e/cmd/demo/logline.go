package main

import (
	"fmt"
	"strconv"
	"strings"
)

// fields parses a line of slog's text format: key=value, key="a quoted value". It ignores what it cannot parse.
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

// A rendering is the text of the timeline for a log message, with the values of some of its keys.
type rendering struct {
	format string
	keys   []string
}

// renderings returns the texts for a director's elections, verdicts and addresses, by log message.
func renderings() map[string]rendering {
	return map[string]rendering{
		"state":                  {"%s → %s", []string{"from", "reason"}},
		"verdict":                {"%s is %s", []string{"server", "reason"}},
		"VIPs are up":            {"has the VIP on %s, leased for %s from the kernel", []string{"interface", "lease"}},
		"VIPs are removed":       {"releases the VIP", nil},
		"removed a leftover VIP": {"removes the VIP that an earlier run left", nil},
	}
}

// of inserts the values of a line. ok is false if the line does not have all of them.
func (t rendering) of(f map[string]string) (string, bool) {
	var values []any
	for _, key := range t.keys {
		if f[key] == "" {
			return "", false
		}
		values = append(values, f[key])
	}
	return fmt.Sprintf(t.format, values...), true
}

// render returns the timeline's text for a daemon's log line, "" for none. In addition to the renderings, every warning
// and error is shown.
func render(line string) string {
	f := fields(line)
	if strings.HasPrefix(f["server"], "probe/") {
		return "" // only the demo's probe service
	}
	if rendering, known := renderings()[f["msg"]]; known {
		if text, whole := rendering.of(f); whole {
			return text
		}
	}
	if f["level"] == "WARN" || f["level"] == "ERROR" {
		return strings.ToLower(f["level"]) + ": " + f["msg"] + details(f)
	}
	return ""
}

func details(f map[string]string) string {
	for _, key := range []string{"cause", "error", "reason", "problem"} {
		if f[key] != "" {
			return ": " + f[key]
		}
	}
	return ""
}
