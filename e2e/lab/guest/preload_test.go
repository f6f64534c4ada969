package guest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The library is made with nothing of the machine: no compiler, no headers, no linker.
func TestLibraryWithoutACompiler(t *testing.T) {
	o := bootOptions(t)
	dir := t.TempDir()
	if err := os.Symlink(o.Tree.Dir, filepath.Join(dir, "tree")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	made, err := Tree{Dir: filepath.Join(dir, "tree")}.library(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh, err1 := os.ReadFile(made)
	cached, err2 := os.ReadFile(o.Tree.Preload[0])
	if err1 != nil || err2 != nil || !bytes.Equal(fresh, cached) {
		t.Errorf("%s differs from %s, or cannot be read: %v, %v", made, o.Tree.Preload[0], err1, err2)
	}
}
