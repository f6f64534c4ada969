package ipvs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

func TestNotPermitted(t *testing.T) {
	inNamespace(t)
	dropCapabilities(t)
	if _, err := Probe(within(t, 5*time.Second)); !errors.Is(err, kernel.ErrNotPermitted) {
		t.Errorf("Probe: %v", err)
	}
	table, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if _, err := table.Read(within(t, 5*time.Second)); !errors.Is(err, kernel.ErrNotPermitted) {
		t.Errorf("Read: %v", err)
	}
	if err := table.Scheduler(within(t, 5*time.Second), "rr"); !errors.Is(err, kernel.ErrNotPermitted) {
		t.Errorf("Scheduler: %v", err)
	}
	if done, err := table.Apply(within(t, 5*time.Second), lvs.Diff([]lvs.Service{service(1, "rr")}, nil, nil)); len(done) != 0 || !errors.Is(err, kernel.ErrNotPermitted) {
		t.Errorf("Apply: %v, %v", done, err)
	}
}

// dropCapabilities drops the effective capabilities of every thread, because any of them may send, and restores them at
// the end.
func dropCapabilities(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		t.Fatal(err)
	}
	set := func(to [2]unix.CapUserData) {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&to)), 0)
		if errno == unix.ENOTSUP {
			t.Skip("built with cgo: CGO_ENABLED=0 go test")
		}
		if errno != 0 {
			t.Fatal(errno)
		}
	}
	none := had
	none[0].Effective, none[1].Effective = 0, 0
	set(none)
	t.Cleanup(func() { set(had) })
}

// After an exceeded deadline, every later exchange gets its own answers.
func TestDeadline(t *testing.T) {
	table := openTable(t)
	become(t, table, []lvs.Service{service(3306, "rr", server("10.77.0.11", config.DR, 1))})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := table.Read(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
	if _, err := table.Apply(ended, lvs.Diff(nil, read(t, table), all)); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply: %v", err)
	}
	become(t, table, []lvs.Service{service(3307, "rr", server("10.77.0.12", config.DR, 1))})
}

// setModprobe changes what the kernel executes to load a module, until the test ends or undo is called.
func setModprobe(t *testing.T, path string) (undo func()) {
	t.Helper()
	const sysctl = "/proc/sys/kernel/modprobe"
	found, err := os.ReadFile(sysctl)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sysctl, []byte(path), 0o644); err != nil {
		t.Fatal(err)
	}
	undo = func() {
		if err := os.WriteFile(sysctl, found, 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(undo)
	return undo
}

// A modprobe that hangs inside a request is survived and reported.
func TestHangingModprobe(t *testing.T) {
	table := openTable(t)
	require.Spoilable(t, "changes the kernel's modprobe")
	directory := t.TempDir()
	hold, script := filepath.Join(directory, "hold"), filepath.Join(directory, "modprobe")
	text := "#!/bin/sh\nwhile test -e " + hold + "; do sleep 0.05; done\nexit 1\n"
	for path, text := range map[string]string{script: text, hold: ""} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.Remove(hold) })
	setModprobe(t, script)
	start := time.Now()
	if err := table.Scheduler(within(t, 200*time.Millisecond), "slow"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Scheduler: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a deadline of 200 ms took %v", took)
	}
	if _, err := table.Read(within(t, time.Second)); !errors.Is(err, ErrBusy) {
		t.Fatalf("Read while the kernel hangs: %v", err)
	}
	if _, err := Snapshot(); err != nil {
		t.Errorf("Snapshot while the kernel hangs: %v", err)
	}
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	become(t, table, []lvs.Service{service(3306, "rr", server("10.77.0.11", config.DR, 1))})
}

// Unloading and loading the module while a table is open is detected, and not mistaken for a missing scheduler or real
// server.
func TestModuleGoes(t *testing.T) {
	table := openTable(t)
	require.Spoilable(t, "unloads ip_vs")
	unload := func() {
		t.Helper()
		for _, module := range []string{"ip_vs_sh", "ip_vs_wlc", "ip_vs_lc", "ip_vs_wrr", "ip_vs_rr", "ip_vs"} {
			out, err := exec.CommandContext(within(t, 10*time.Second), "modprobe", "-r", module).CombinedOutput()
			if err != nil {
				t.Fatalf("modprobe -r %s: %v %s", module, err, out)
			}
		}
	}
	unload()
	read(t, table) // the kernel loads it again
	unload()
	steps := lvs.Diff([]lvs.Service{service(3306, "rr")}, nil, nil)
	if _, err := table.Apply(within(t, 10*time.Second), steps); !errors.Is(err, errReloaded) {
		t.Errorf("Apply: %v", err)
	}
	become(t, table, []lvs.Service{service(3306, "rr")})
	become(t, table, nil)

	unload()
	undo := setModprobe(t, "/bin/false")
	if _, err := table.Apply(within(t, 10*time.Second), steps); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Apply without the module: %v", err)
	}
	if _, err := table.Read(within(t, 10*time.Second)); !errors.Is(err, ErrNoIPVS) {
		t.Errorf("Read without the module: %v", err)
	}
	undo()
	become(t, table, []lvs.Service{service(3306, "rr")})
}
