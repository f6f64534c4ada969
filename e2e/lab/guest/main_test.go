package guest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/internal/require"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "labrun-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv(programDirVariable, dir)
	code := m.Run()
	// A fuzzing run leaves goroutines of the testing package.
	if fuzz := flag.Lookup("test.fuzz").Value.String(); code == 0 && fuzz == "" {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// programDirVariable names the directory of the labrun that this test run builds.
const programDirVariable = "LVS_LAB_TEST_PROGRAM_DIR"

var buildProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(os.Getenv(programDirVariable), "labrun")
	cmd := exec.Command("go", "build", "-o", path, "github.com/lvs-director/lvs-director/e2e/cmd/labrun")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build labrun: %w: %s", err, out)
	}
	return path, nil
})

// hangs is the time after which a guest is considered hung: the slowest took 2 minutes on a machine with 2 CPUs and a
// load of 20.
const hangs = 5 * time.Minute

// skipShort skips a test that is too long for `make test`.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("run it without -short: make runner LONG=1")
	}
}

// onMachine fails a test that boots a guest, if it runs in a guest itself: no target of the Makefile does that.
func onMachine(t *testing.T) {
	t.Helper()
	if os.Getenv("LVS_LAB_INSIDE") != "" {
		t.Fatal("a guest cannot be booted inside the lab: run this test on the machine itself")
	}
}

// machineCache returns this machine's cache. It skips the test if what the guest needs is not in it, unless LVS_REQUIRE
// has "guest".
func machineCache(t *testing.T, needed, fetch string, has func(Cache) bool) Cache {
	t.Helper()
	onMachine(t)
	c, err := DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	if !require.Required(t, require.Guest) && !has(c) {
		require.Skip(t, require.Guest, "no %s in %s: run `%s` first (LVS_REQUIRE=guest fetches it here)", needed, c.Dir, fetch)
	}
	return c
}

// program returns the path of a labrun that was built for this test run.
func program(t *testing.T) string {
	t.Helper()
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bootOptions returns options for a guest.
func bootOptions(t *testing.T, command ...string) Options {
	t.Helper()
	c := machineCache(t, "packages", "make lab", func(c Cache) bool {
		home, err := c.home()
		return err == nil && treeIn(home).complete()
	})
	tree, err := c.Fill(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Tree: tree, Program: program(t), Command: command, Memory: 512, Timeout: hangs}
}

// result is the exit code and output of a command.
type result struct {
	Code           int
	Stdout, Stderr string
}

func boot(t *testing.T, o Options) result {
	t.Helper()
	r, err := tryBoot(t.Context(), o)
	if err != nil {
		t.Fatalf("Boot: %v; stderr: %s", err, r.Stderr)
	}
	return r
}

func tryBoot(ctx context.Context, o Options) (result, error) {
	var stdout, stderr bytes.Buffer
	o.Stdout, o.Stderr = &stdout, &stderr
	code, err := Boot(ctx, o)
	return result{code, stdout.String(), stderr.String()}, err
}
