package guest

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The sources of the library that is preloaded into the guest kernel (LD_PRELOAD, ld.so(8)): the guest's clock, and the
// FPU state of CPUs that are newer than the kernel.
//
//go:embed preload
var preload embed.FS

// library returns the path of the library, which it compiles first if the cache has none for these sources.
func (t Tree) library(ctx context.Context) (string, error) {
	names, err := preload.ReadDir("preload")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, n := range names {
		text, err := preload.ReadFile("preload/" + n.Name())
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", n.Name(), len(text), text)
	}
	path := filepath.Join(filepath.Dir(t.Dir), fmt.Sprintf("preload-%x.so", sum.Sum(nil)[:4]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	sources, err := os.MkdirTemp("", "lvs-lab-preload-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(sources)
	if err := os.CopyFS(sources, preload); err != nil {
		return "", err
	}
	return path, t.compile(ctx, path, filepath.Join(sources, "preload", "*.c"))
}

// compile builds a shared library from the C sources that match the pattern with the tree's own compiler (tcc), without
// headers or libraries of this machine. It may run concurrently, also in several processes: the result is renamed into
// place.
func (t Tree) compile(ctx context.Context, path, pattern string, flags ...string) error {
	sources, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	work, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	work.Close()
	defer os.Remove(work.Name()) // fails if it was renamed
	args := slices.Concat([]string{"-Wall", "-Werror", "-nostdinc", "-nostdlib", "-shared", "-o", work.Name()}, flags, sources)
	if out, err := exec.CommandContext(ctx, filepath.Join(t.Dir, "usr/bin/tcc"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("tcc: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Chmod(work.Name(), 0o755); err != nil {
		return err
	}
	return os.Rename(work.Name(), path)
}
