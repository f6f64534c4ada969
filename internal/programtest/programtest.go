// Package programtest builds the programs for tests that run them. It is not part of the product.
package programtest

import (
	"os"
	"os/exec"
	"testing"
)

// Build builds the three programs as they are shipped, and returns their directory.
func Build(t *testing.T) string {
	t.Helper()
	const commands = "github.com/lvs-director/lvs-director/cmd/"
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir+"/", commands+"lvs-director", commands+"lvs-realserver", commands+"lvsctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}
