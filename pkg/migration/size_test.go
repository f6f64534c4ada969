package migration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/keepalived"
	"github.com/lvs-director/lvs-director/pkg/migration"
)

// Files of many statements are translated: a time that grows with their square would exceed the limit of the test.
func TestLargeFiles(t *testing.T) {
	for name, in := range map[string]string{
		"instances": "~SEQ(N,3000) vrrp_instance v$N {interface eth0\n",
		"words":     "global_defs {\n~SEQ(A,1) ~SEQ(B,9999) w${A}x${B}\n}",
		"the same":  "vrrp_instance v {\n~SEQ(A,1) ~SEQ(B,9999) priority ${B}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			tree := keepalived.Parse("a", []byte(in), keepalived.Options{Host: "a"})
			migration.Import([]migration.Source{{Node: "a", Files: []migration.File{{Tree: tree}}}, {Node: "b", Files: []migration.File{{Tree: tree}}}}, migration.Options{})
		})
	}
	var ranges strings.Builder
	for n := range 100 {
		fmt.Fprintf(&ranges, "virtual=10.77.0.%d:80\n%s", n+1, strings.Repeat("\treal=10.1.0.0->10.1.3.255:80 gate\n", 100))
	}
	for name, in := range map[string]string{
		"a.rules":   "-A -t 10.77.0.1:80\n" + strings.Repeat("-a -t 10.77.0.1:80 -r 10.77.0.11\n", 10_000) + strings.Repeat("-A -f 7\n", 10_000),
		"ranges.cf": ranges.String(),
		"a.cf":      "virtual=10.77.0.1:80\n" + strings.Repeat("\treal=10.77.0.11:80 gate\n", 10_000) + strings.Repeat("virtual=7\nx=1\n", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			r := migration.Import([]migration.Source{{Node: "a", Files: []migration.File{parsed("a", name, []byte(in))}}}, migration.Options{})
			if n := strings.Count(string(r.YAML), "name: rs-"); n > 10_000 {
				t.Errorf("%d real servers", n)
			}
		})
	}
}
