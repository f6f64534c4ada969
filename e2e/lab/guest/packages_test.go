package guest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func TestParseRelease(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      release
		refused   bool
	}{
		{"debian", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n", release{"debian", "12"}, false},
		{"debian testing", "ID=debian\nVERSION_CODENAME=forky\n", release{"debian", "forky"}, false},
		{"ubuntu", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"\n", release{"ubuntu", "24.04"}, false},
		{"mint", "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\n", release{"linuxmint", "22"}, false},
		{"fedora", "ID=fedora\nVERSION_ID=43\n", release{}, true},
		{"empty", "", release{}, true},
	} {
		got, err := parseRelease(tt.raw)
		if tt.refused {
			if err == nil || !strings.Contains(err.Error(), "container") {
				t.Errorf("%s: error = %v, want one with a remedy", tt.name, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestKeyIsAFileName(t *testing.T) {
	got := key(release{"debian", "12"})
	if filepath.Base(got) != got || !strings.HasPrefix(got, "debian-12-") {
		t.Errorf("key = %q", got)
	}
	if got == key(release{"debian", "13"}) {
		t.Errorf("two releases share the key %q", got)
	}
}

const dpkgStatus = `Package: bash
Essential: yes
Status: install ok installed
Priority: required
Depends: base-files (>= 2.1.12), debianutils (>= 5.6-0.1)
Pre-Depends: libc6:any (>= 2.36) | libc6.1, libtinfo6 (>= 6)
Description: shell
 Depends: not-a-field

Package: libc6
Status: install ok installed
Priority: optional
Depends: libgcc-s1

Package: libc6
Status: install ok installed
Architecture: i386
Priority: optional
Depends: other

Package: libtinfo6
Status: install ok installed
Priority: optional

Package: libgcc-s1
Status: deinstall ok config-files
Priority: optional

Package: other
Status: install ok installed
Priority: optional
Depends: bash
`

func TestBaseStatusKeepsWhatEveryMachineHas(t *testing.T) {
	var got []string
	for stanza := range strings.SplitSeq(baseStatus(dpkgStatus), "\n\n") {
		if name := field(stanza, "Package"); name != "" {
			got = append(got, name)
		}
	}
	if diff := cmp.Diff([]string{"bash", "libc6", "libtinfo6"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPlanned(t *testing.T) {
	const simulation = `NOTE: This is only a simulation!
Inst libc6 [2.36-9] (2.36-10 Debian:12.15/oldstable [amd64]) []
Inst perl-base [5.36.0-7] (5.36.0-8 Debian [amd64])
Inst libdbi-perl (1.643-4 Debian [amd64])
Inst iproute2 (6.1.0-3 Debian:12.15/oldstable [amd64])
Inst libcap2 [1:2.66-3] (1:2.66-4 Debian:12.15/oldstable [amd64]) []
Inst broken
Conf iproute2 (6.1.0-3 Debian:12.15/oldstable [amd64])
`
	got := planned(simulation, func(name string) bool { return needless(name) || fromMachine(name) })
	if diff := cmp.Diff([]string{"iproute2=6.1.0-3", "libcap2=1:2.66-4"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got = planned(simulation, needless)
	if diff := cmp.Diff([]string{"libc6=2.36-10", "iproute2=6.1.0-3", "libcap2=1:2.66-4"}, got); diff != "" {
		t.Errorf("for a separate file system: -want +got:\n%s", diff)
	}
}

func TestGuestEnvironment(t *testing.T) {
	got := guestEnv([]string{"LVS_SEED=7", "PATH=/opt/bin", "TERM=vt100", "HOME=/home/x"}, true)
	want := []string{
		"LVS_SEED=7", "HOME=/home/x", "PATH=" + guestPath + ":/opt/bin", "TERM=vt100",
		"HOME=/run/home", "TMPDIR=/run/tmp", "LVS_LAB_INSIDE=guest", "LVS_LAB_OUT=/mnt/out",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOptionsAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	command := []string{"true"}
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"no command", Options{}, "no command"},
		{"little memory", Options{Command: command, Memory: 64}, "too small"},
		{"program with a space", Options{Command: command, Program: "/a b"}, "without spaces"},
		{"directory missing", Options{Command: command, Dir: "/nonexistent"}, "/nonexistent"},
		{"out is a file", Options{Command: command, Out: file}, "is not a directory"},
		{"writable is missing", Options{Command: command, Writable: []string{"/nonexistent"}}, "/nonexistent"},
		{"impossible memory", Options{Command: command, Memory: 1 << 40}, "no room for"},
	} {
		if _, err := Boot(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error = %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestUnfitForMemory(t *testing.T) {
	if why := unfitForMemory(t.TempDir(), 1); why != "" {
		t.Errorf("a temporary directory %s", why)
	}
	for _, dir := range []string{"/nonexistent", "/proc"} {
		if unfitForMemory(dir, 1) == "" {
			t.Errorf("%s is accepted for guest memory", dir)
		}
	}
}

func TestLockIsExclusiveAndGivesUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		unlock, err := lockDir(t.Context(), dir, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		second := make(chan error)
		var progress strings.Builder
		go func() {
			_, err := lockDir(ctx, dir, &progress)
			second <- err
		}()
		synctest.Wait() // it is waiting for its next try
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want context.Canceled", err)
		}
		if progress.String() == "" {
			t.Error("waiting for the lock was not reported")
		}
		unlock()
		unlock, err = lockDir(t.Context(), dir, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	})
}

func TestFillWithoutCacheDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Cache{Dir: filepath.Join(file, "cache")}.Fill(t.Context(), io.Discard)
	if err == nil || !(strings.Contains(err.Error(), "LVS_LAB_CACHE") || strings.Contains(err.Error(), "container")) {
		t.Errorf("error = %v, want one with a remedy", err)
	}
}
