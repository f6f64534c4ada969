package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestCause(t *testing.T) {
	for console, want := range map[string]string{
		"ptrace: Operation not permitted\ncheck_ptrace : expected SIGSTOP, got status = 9\n":                                                     "forbids ptrace(2)",
		"check_ptrace : expected SIGSTOP, got status = 159\n":                                                                                    "forbids ptrace(2)", // killed by SIGSYS
		"userspace - ptrace set fp regs failed, errno = 14\nKernel panic - not syncing: Attempted to kill init!\n":                               "FPU state",
		"userspace - ptrace set fp regs failed, errno = 22\n":                                                                                    "FPU state",
		"userspace - ptrace set fp regs failed, errno = 3\n":                                                                                     "",
		"Bus error - the host /dev/shm or /tmp mount likely just ran out of space\nKernel panic - not syncing: Kernel ":                          "no room left in /dev/shm ",
		"setup_physmem - mapping 2130309120 bytes of memory at 0x(____ptrval____) failed - errno = -12\n":                                        "ulimit -v",
		"[    0.741308] Kernel panic - not syncing: System is deadlocked on memory\n":                                                            "too little memory",
		"qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory\n":                                                      "does not let the guest map",
		"…/qemu-system-x86_64: error while loading shared libraries: libslirp.so.0: cannot open shared object file: No such file or directory\n": "filled again",
		killedBySignal + " 9\n":                      "out of memory",
		killedBySignal + " 25\n":                     "",
		"Kernel panic - not syncing: No init found.": "",
		"": "",
	} {
		if got := cause(console, "/dev/shm"); !strings.Contains(got, want) || (got == "") != (want == "") || strings.Contains(got, "\n") {
			t.Errorf("%q: %q, want %q in it", console, got, want)
		}
	}
}

// refused boots a guest and checks that it ends with an error that contains want.
func refused(t *testing.T, o Options, want string) {
	t.Helper()
	got, err := tryBoot(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%+v, %v, want an error with %q", got, err, want)
	}
}

func TestPtraceForbidden(t *testing.T) {
	o := bootOptions(t, "true")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := forbid(unix.SYS_PTRACE); err != nil {
			t.Error(err)
			return
		}
		refused(t, o, "forbids ptrace(2)")
	}()
	<-done
}

// forbid makes a system call fail with EPERM for this goroutine's thread, which ends with the goroutine, and for the
// processes that it starts.
func forbid(call uint32) error {
	runtime.LockOSThread() // never unlocked
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the system call number (struct seccomp_data)
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return errors.Join(
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0),
	)
}

// TestMemoryRunsOut: the directory of the guest's memory becomes full after the guest has booted.
//
// head runs once before, because its own pages must be in the guest's page cache: a read of the host's files into memory
// that cannot be had fails with EFAULT, and then the program gets SIGBUS instead of the kernel.
func TestMemoryRunsOut(t *testing.T) {
	skipShort(t)
	o := bootOptions(t)
	const script = `
mount -t tmpfs -o size=260M lab /dev/shm && mkfifo "$2/filled" || exit
"$1" -mem 256 -- sh -c 'head -c 100K /dev/zero >/tmp/file; echo booted; read filled; head -c 100M /dev/zero >/tmp/file; echo written' <"$2/filled" |
{ read booted; head -c 300M /dev/zero >/dev/shm/file; echo filled; cat >&2; } >"$2/filled"`
	if out, _ := withMounts(t, script, o.Program, t.TempDir()); !strings.Contains(out, "no room left in /dev/shm ") {
		t.Errorf("labrun printed: %s", out)
	}
}

// TestMachineOf4GB: two guests of the default size can run at a time if there are only two tmpfs, each with half of 4
// GB, as on Debian 13.
func TestMachineOf4GB(t *testing.T) {
	skipShort(t)
	o := bootOptions(t)
	const script = `
mount -t tmpfs -o size=1950M lab /dev/shm && mount -t tmpfs -o size=1950M lab "$2" || exit
export TMPDIR="$2"
"$1" -- echo booted & "$1" -- echo booted; code=$?
wait $! && exit $code`
	if out, err := withMounts(t, script, o.Program, t.TempDir()); err != nil || out != "booted\nbooted\n" {
		t.Errorf("%s, %v", out, err)
	}
}

// withMounts runs a script in a separate mount namespace, with the arguments $1, $2, …
func withMounts(t *testing.T, script string, args ...string) (string, error) {
	t.Helper()
	unshare := []string{"--user", "--map-root-user", "--mount"}
	if out, err := exec.CommandContext(t.Context(), "unshare", append(unshare, "true")...).CombinedOutput(); err != nil {
		t.Skipf("cannot create a mount namespace for a small /dev/shm: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", slices.Concat(unshare, []string{"sh", "-c", script, "sh"}, args)...)
	cmd.Env = append(cmd.Environ(), "LVS_LAB=guest")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAddressSpaceIsLimited(t *testing.T) {
	o := bootOptions(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -v 1500000 && exec "$0" -mem 2048 -- true`, o.Program)
	cmd.Env = append(cmd.Environ(), "LVS_LAB=guest")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "ulimit -v") {
		t.Errorf("labrun printed: %v, %s", err, out)
	}
}

func TestKernelIsKilled(t *testing.T) {
	skipShort(t)
	o := bootOptions(t, "sh", "-c", "echo running; sleep 1000")
	stdout, toHere := io.Pipe()
	o.Stdout = toHere
	ended := make(chan error, 1)
	go func() {
		_, err := Boot(t.Context(), o)
		toHere.Close()
		ended <- err
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the guest printed %q, %v; %v", line, err, <-ended)
	}
	if err := unix.Kill(kernelOf(t, o), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("error = %v", err)
	}
}

func TestBootLimit(t *testing.T) {
	o := bootOptions(t, "true")
	o.Tree.Preload = []string{filepath.Join(t.TempDir(), "hang.so")}
	if err := o.Tree.compile(t.Context(), o.Tree.Preload[0], "testdata/hang.c"); err != nil {
		t.Fatal(err)
	}
	o.bootLimit = time.Second
	refused(t, o, "not reported within its boot limit")
}

func TestUnknownCause(t *testing.T) {
	err := ended(io.EOF, " \n", "/dev/shm")
	if !errors.Is(err, io.EOF) || !strings.Contains(fmt.Sprint(err), "(nothing)") {
		t.Errorf("error = %v", err)
	}
}
