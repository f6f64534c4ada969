package config

import (
	"strings"
	"testing"
)

// TestChecksWithoutPort: a virtual server that has no port of its own needs one only for checks that connect to one.
func TestChecksWithoutPort(t *testing.T) {
	f := declareFile(checkKinds(), instanceFields())
	const file = "version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nvirtual_servers:\n" +
		"- {name: s, SERVICE, scheduler: rr, forward: dr, real_servers: [{name: r, address: 10.0.0.11}], checks: [{CHECK}]}\ntimeouts: {tcp: 8h}\n"
	for _, service := range []string{"fwmark: 5, marking: none", "address: 10.0.0.9, port: 0, persistence: {timeout: 50s}"} {
		for check, refused := range map[string]bool{
			"type: tcp":                         true,
			"type: tcp, port: 80":               false,
			"type: ping":                        false,
			"type: file, path: /run/weight":     false,
			"type: command, command: [/bin/ok]": false,
		} {
			_, problems := parse(f, "f", []byte(strings.NewReplacer("SERVICE", service, "CHECK", check).Replace(file)))
			if got := problems.String(); strings.Contains(got, "no port that could be meant") != refused || !refused && got != "" {
				t.Errorf("%s, %s: %s", service, check, got)
			}
		}
	}
}
