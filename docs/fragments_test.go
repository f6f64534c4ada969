package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// around is what a fragment of a cluster file is put into, by section. It has everything that is required.
var around = []struct{ section, text string }{
	{"directors", "directors:\n  - {name: lvs-master, address: 10.77.0.2}\n  - {name: lvs-backup, address: 10.77.0.3}\n"},
	{"vrrp_instances", "vrrp_instances:\n  - name: mysql\n    interface: eth0\n    virtual_router_id: 51\n    virtual_addresses: [10.77.0.100]\n"},
	{"virtual_servers", "virtual_servers:\n  - name: mysql\n    address: 10.77.0.100\n    port: 3306\n    scheduler: wrr\n    forward: dr\n" +
		"    checks: [{type: mysql, user: lvs_check, password_file: /etc/lvs-director/check.password}]\n" +
		"    real_servers:\n      - {name: mysql1, address: 10.77.0.11}\n      - {name: mysql2, address: 10.77.0.12}\n"},
}

var (
	keyOf = regexp.MustCompile(`(?m)^([a-z_]+):`)
	// outside are errors of a fragment because the rest of its file is not in the page.
	outside = regexp.MustCompile(`^is required: |^no [a-z ]+ is named `)
)

// whole puts a fragment into a cluster file: keys without indentation belong to the top level, indented ones to an instance or,
// if they are those of a real server, to a virtual server.
func whole(fragment string) string {
	indent := len(fragment) - len(strings.TrimLeft(fragment, " "))
	var lines []string
	for line := range strings.Lines(fragment) {
		lines = append(lines, line[min(indent, len(line)-len(strings.TrimLeft(line, " "))):])
	}
	text := strings.Join(lines, "")
	var own []string
	for _, m := range keyOf.FindAllStringSubmatch(text, -1) {
		own = append(own, m[1])
	}
	var file strings.Builder
	file.WriteString("version: 1\n")
	within, inside := map[bool]string{true: "vrrp_instances", false: ""}[indent > 0], "    "
	if slices.Contains(own, "real_servers") {
		within = "virtual_servers"
	}
	for _, a := range around {
		switch {
		case a.section == within:
			for line := range strings.Lines(a.text) {
				if key, _, _ := strings.Cut(strings.TrimLeft(line, " -"), ":"); !slices.Contains(own, key) && !strings.HasPrefix(line, "      ") {
					file.WriteString(line)
				}
			}
			file.WriteString(inside + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+inside) + "\n")
		case within != "" || !slices.Contains(own, a.section):
			file.WriteString(a.text)
		}
	}
	if within == "" {
		file.WriteString(text)
	}
	return file.String()
}

// A part of a cluster file in a page is valid, as far as it can be told without the rest.
func TestFragmentsOfClusterFilesValidate(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "yaml" || wholeFile.MatchString(b.text) {
				continue
			}
			checked++
			_, problems := config.Parse(p.path, []byte(whole(b.text)))
			for _, problem := range problems {
				if !problem.Warning && !outside.MatchString(problem.Message) {
					t.Errorf("%s: %s: %s, in\n%s", p.path, problem.Path, problem.Message, b.text)
				}
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d fragments found", checked)
	}
}
