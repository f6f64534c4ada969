package config_test

import (
	"testing"

	"github.com/lvs-director/lvs-director/internal/pagetest"
	"github.com/lvs-director/lvs-director/pkg/config"
)

// The pages match the declarations. After changing those: go test ./pkg/config -run TestReference -update.
func TestReference(t *testing.T) {
	for file, want := range map[string]string{
		"../../docs/cluster-file.md": config.Reference(),
		"../../docs/limits.md":       config.ReservedKeys(),
	} {
		pagetest.Section(t, file, "go test ./pkg/config -run TestReference -update", want, *update)
	}
}
