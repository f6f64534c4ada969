package guest

import (
	"bufio"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processesWith returns the processes whose command line has these arguments, each between two zero bytes.
func processesWith(t *testing.T, arguments string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process may exit between the two reads; then it has no command line.
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && strings.Contains(string(line), arguments) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// kernelsOf returns the processes of guests whose first process is program.
func kernelsOf(t *testing.T, program string) []int {
	return processesWith(t, "\x00init="+program+"\x00")
}

// endsWithRunner ends the runner of a guest by a signal while the guest is busy, and waits until no process of the
// guest is left. running returns these processes; a running guest has at least so many.
func endsWithRunner(t *testing.T, cmd *exec.Cmd, signal syscall.Signal, running func() []int, least int, within time.Duration) {
	t.Helper()
	cmd.Env = append(os.Environ(), "LVS_LAB=guest")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		t.Errorf("first line %q, %v", line, err)
	}
	if n := len(running()); n < least {
		t.Errorf("%d processes of a running guest found, want at least %d: this test could not detect leftovers", n, least)
	}
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// A killed runner is gone at once, while its guard is still cleaning up. There is no event to wait for.
	deadline := time.Now().Add(within)
	for len(running()) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("processes still running: %v", running())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestNothingOutlivesTheRunner(t *testing.T) {
	o := bootOptions(t)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			cmd := exec.Command(o.Program, "-mem", "256", "--", "sh", "-c", "sleep 1000 & echo running; while :; do :; done")
			endsWithRunner(t, cmd, signal, func() []int { return kernelsOf(t, o.Program) }, 3, 10*time.Second)
		})
	}
}

// ordinaryUser runs labrun as an ordinary user with a cache of its own, a copy of one directory, and judges what a
// command in the guest may do.
func ordinaryUser(t *testing.T, program, cached string, kernel ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the other tests run as an ordinary user already")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("cp", "-r", cached, program, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the cache: %v: %s", err, out)
	}
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}); err != nil {
		t.Fatal(err)
	}
	arguments := append(kernel, "-mem", "512", "-out", filepath.Join(dir, "out"), "--", "sh", "-c",
		`id -u && ip netns add a && ip netns exec a ipvsadm -A -f 1 && ip netns exec a ipvsadm -Sn && echo kept >"$LVS_LAB_OUT/file" && exit 3`)
	cmd := exec.Command(filepath.Join(dir, "labrun"), arguments...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LVS_LAB_CACHE=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, _ := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != 3 || string(out) != "0\n-A -f 1 -s wlc\n" || stderr.String() != "" {
		t.Errorf("code %d, stdout %q, stderr %q", code, out, stderr.String())
	}
	if kept, err := os.ReadFile(filepath.Join(dir, "out/file")); string(kept) != "kept\n" {
		t.Errorf("kept file has %q, %v", kept, err)
	}
}

// TestOrdinaryUser: labrun works for an ordinary user with a separate cache.
func TestOrdinaryUser(t *testing.T) {
	skipShort(t)
	o := bootOptions(t)
	ordinaryUser(t, o.Program, filepath.Dir(o.Tree.Dir))
}

func TestRunHost(t *testing.T) {
	o := bootOptions(t, "sh", "-c", `ip -o link | wc -l; command -v ipvsadm; echo "$LVS_LAB_INSIDE"; echo "$LVS_LAB_OUT"; sleep 1000 & exit 3`)
	if os.Geteuid() != 0 {
		t.Skip("namespaces on the machine's own kernel need root")
	}
	o.Out = t.TempDir()
	var stdout, stderr strings.Builder
	o.Stdout, o.Stderr = &stdout, &stderr
	code, err := RunHost(t.Context(), o)
	if want := "1\n/usr/sbin/ipvsadm\nhost\n" + o.Out + "\n"; err != nil || code != 3 || stdout.String() != want || stderr.String() != "" {
		t.Errorf("code %d, error %v, stdout %q, want %q, stderr %q", code, err, stdout.String(), want, stderr.String())
	}
}
