package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// The pages match the declarations. After changing those: go test ./pkg/config -run TestReference -update.
func TestReference(t *testing.T) {
	const begin, end = "<!-- Written by: go test ./pkg/config -run TestReference -update -->\n\n", "\n<!-- The end of what is written. -->"
	for file, want := range map[string]string{
		"../../docs/cluster-file.md": config.Reference(),
		"../../docs/limits.md":       config.ReservedKeys(),
	} {
		head, rest, _ := strings.Cut(string(read(t, file)), begin)
		have, tail, found := strings.Cut(rest, end)
		switch {
		case !found:
			t.Errorf("%s: no %q or no %q", file, begin, end)
		case *update:
			if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
				t.Fatal(err)
			}
		case have != want:
			t.Errorf("%s (-committed +declared):\n%s", file, cmp.Diff(have, want))
		}
	}
}
