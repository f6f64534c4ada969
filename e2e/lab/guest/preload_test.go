package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFPUState: on a machine that refuses a partial FPU state, a guest boots and its processes compute correctly.
// Without the preloaded library it does not boot, and the error names the cause.
func TestFPUState(t *testing.T) {
	// Two processes at a time, so that one computes with the other's state if its own is not restored.
	const sums = `compute() { awk 'BEGIN { for (i = 0; i < 30000; i++) s += sqrt(i); printf "%.6f\n", s }'; }; compute & compute; wait`
	o := bootOptions(t, "sh", "-c", sums)
	library := o.Tree.Preload
	partial := filepath.Join(t.TempDir(), "partial.so")
	file := filepath.Join(t.TempDir(), "counts")
	if err := o.Tree.compile(t.Context(), partial, "testdata/partial.c", fmt.Sprintf("-DCOUNTS=%q", file)); err != nil {
		t.Fatal(err)
	}
	counts := func() (refused, accepted uint64) {
		t.Helper()
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return binary.NativeEndian.Uint64(raw), binary.NativeEndian.Uint64(raw[8:])
	}
	for _, with := range []bool{true, false} {
		if err := os.WriteFile(file, make([]byte, 16), 0o644); err != nil {
			t.Fatal(err)
		}
		o.Tree.Preload = []string{partial}
		if with {
			o.Tree.Preload = append(library[:len(library):len(library)], partial)
		}
		got, err := tryBoot(t.Context(), o)
		refused, accepted := counts()
		switch {
		case with && (err != nil || got != result{Stdout: strings.Repeat("3464014.804952\n", 2)}):
			t.Errorf("with the library: %+v, %v", got, err)
		case with && (refused != 1 || accepted < 10):
			t.Errorf("with the library %d states were refused and %d accepted, want 1 refused (after which it sets the whole state) and many accepted", refused, accepted)
		case !with && (err == nil || !strings.Contains(err.Error(), "ptrace set fp regs failed, errno = 14")):
			t.Errorf("without the library: %+v, %v: this test cannot detect the fault", got, err)
		case !with && !strings.Contains(err.Error(), "FPU"):
			t.Errorf("the error does not name the cause: %v", err)
		}
	}
}

// TestLibraryWithoutACompiler: the library is built without a compiler, headers or linker of the machine.
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
