package dirtest

import (
	"os"
	"testing"
)

// InMemory returns a new directory in /dev/shm, or a t.TempDir where that cannot be used. It is removed at the end of the test.
func InMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lvs-director-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
