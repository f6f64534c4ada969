package migration_test

import (
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
			migration.Import([]migration.Source{{Node: "a", Tree: tree}, {Node: "b", Tree: tree}}, migration.Options{})
		})
	}
}
