package config_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// FuzzParse: no input makes Parse panic or return a problem without a position; the result is reproducible; a file is
// either rejected with a reason or accepted with a consistent Config.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.yaml")
	for _, file := range files {
		f.Add(readFile(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := config.Parse("f", data)
		checkPositions(t, data, problems)
		if (c == nil) != problems.Failed() {
			t.Fatalf("config %v with problems:\n%s", c, problems)
		}
		if _, again := config.Parse("f", bytes.Clone(data)); again.String() != problems.String() {
			t.Fatalf("not deterministic:\n%s\n%s", problems, again)
		}
		if c != nil {
			checkConfig(t, c)
		}
	})
}
