package guest

import (
	"fmt"
	"strings"
)

// release is the distribution that the packages come from.
type release struct {
	ID      string // "debian"
	Version string // "12"
}

// parseRelease parses os-release(5). A rolling distribution has no version; its code name is used instead.
func parseRelease(osRelease string) (release, error) {
	fields := make(map[string]string)
	for line := range strings.Lines(osRelease) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok {
			fields[key] = strings.Trim(value, `"'`)
		}
	}
	r := release{ID: fields["ID"], Version: fields["VERSION_ID"]}
	if r.Version == "" {
		r.Version = fields["VERSION_CODENAME"]
	}
	like := " " + fields["ID"] + " " + fields["ID_LIKE"] + " "
	if !strings.Contains(like, " debian ") {
		return r, fmt.Errorf("this machine runs %q, and the lab's kernel and servers are Debian packages: run in a Debian or Ubuntu container", fields["ID"])
	}
	return r, nil
}
