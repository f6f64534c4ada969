package guest

import (
	"os"
	"strings"
)

// machineBase returns the baseStatus of this machine.
func machineBase() (string, error) {
	status, err := os.ReadFile("/var/lib/dpkg/status")
	return baseStatus(string(status)), err
}

// baseStatus reduces a dpkg status file to the packages that every Debian-like machine has: those of priority
// "required" and their dependencies. Only these are assumed to be installed. Everything else goes into the cache, so
// that the cache does not depend on what else is installed on this machine now or later.
func baseStatus(status string) string {
	stanzas := make(map[string]string) // by package name
	var order, queue []string
	for _, stanza := range strings.Split(status, "\n\n") {
		name := field(stanza, "Package")
		if name == "" || !strings.HasSuffix(field(stanza, "Status"), " installed") {
			continue
		}
		if _, twice := stanzas[name]; twice {
			continue // the same package for a second architecture
		}
		stanzas[name] = stanza
		order = append(order, name)
		if field(stanza, "Priority") == "required" || field(stanza, "Essential") == "yes" {
			queue = append(queue, name)
		}
	}
	base := make(map[string]bool)
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if _, installed := stanzas[name]; !installed || base[name] {
			continue
		}
		base[name] = true
		queue = append(queue, dependencies(stanzas[name])...)
	}
	var out strings.Builder
	for _, name := range order {
		if base[name] {
			out.WriteString(strings.TrimSpace(stanzas[name]) + "\n\n")
		}
	}
	return out.String()
}

// dependencies lists the names in Depends and Pre-Depends, alternatives included.
func dependencies(stanza string) []string {
	var names []string
	for _, list := range []string{field(stanza, "Pre-Depends"), field(stanza, "Depends")} {
		for _, term := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
			name, _, _ := strings.Cut(strings.TrimSpace(term), " ")
			name, _, _ = strings.Cut(name, ":")
			if name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// field returns a one-line field of a stanza, "" if it is missing.
func field(stanza, name string) string {
	for line := range strings.Lines(stanza) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
