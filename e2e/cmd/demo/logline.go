package main

import (
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

// sentence is what the timeline tells of a daemon's log line; "" is nothing. A director's elections, verdicts and
// addresses are told, and every warning.
func sentence(line string) string {
	f := fields(line)
	message := f["msg"]
	switch {
	case message == "state" && f["to"] != "":
		return f["from"] + " → " + f["reason"]
	case strings.HasPrefix(f["server"], "pulse/"):
		return "" // the demo's own instrument
	case message == "verdict":
		return f["server"] + " is " + f["reason"]
	case message == "VIPs are up":
		return "has the VIP on " + f["interface"] + ", leased for " + f["lease"] + " from the kernel"
	case message == "VIPs are removed":
		return "gives the VIP up"
	case message == "removed a VIP that an earlier run left":
		return "removes the VIP that an earlier run left"
	case f["level"] == "WARN" || f["level"] == "ERROR":
		return strings.ToLower(f["level"]) + ": " + message + details(f)
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
