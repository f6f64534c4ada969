package statefile

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// patient is longer than any disk is busy.
const patient = 10 * time.Minute

func begin(f func()) { go f() }

func openState(t *testing.T, dir string) *File {
	t.Helper()
	l, err := open(dir, patient, begin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func reopen(t *testing.T, l *File) *File {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return openState(t, filepath.Dir(l.path))
}

// samePrefix compares prefixes, whose fields are not exported.
var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contents(l *File) content {
	return content{Addresses: l.Addresses(), Services: l.Services(), Sysctls: l.Sysctls()}
}

var full = content{
	Addresses: []kernel.IfAddr{{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")}, {Interface: "lo", Prefix: netip.MustParsePrefix("10.77.0.100/32")}},
	Services:  services{key("tcp", "10.77.0.100", 3306)},
	Sysctls:   []Sysctl{{"net.ipv4.conf.all.arp_ignore", "0", "1"}},
}

func fill(t *testing.T, l *File) {
	t.Helper()
	must(t, l.RecordAddress(full.Addresses[1], full.Addresses[0]))
	must(t, l.RecordService(full.Services...))
	must(t, l.RecordSysctl(full.Sysctls...))
}

func TestWhatIsRecordedIsThereAfterARestart(t *testing.T) {
	l := openState(t, filepath.Join(t.TempDir(), "made", "by", "open"))
	fill(t, l)
	l = reopen(t, l)
	if diff := cmp.Diff(full, contents(l), samePrefix, sameAddr); diff != "" || l.Warning() != "" {
		t.Errorf("after a restart (-want +got), warning %q:\n%s", l.Warning(), diff)
	}
	must(t, l.ForgetAddress(full.Addresses...))
	must(t, l.ForgetService(full.Services...))
	must(t, l.ForgetSysctl("net.ipv4.conf.all.arp_ignore", "unknown"))
	if diff := cmp.Diff(content{}, contents(reopen(t, l)), samePrefix, sameAddr); diff != "" {
		t.Errorf("after forgetting (-want +got):\n%s", diff)
	}
}

func TestSetReplaces(t *testing.T) {
	l := openState(t, t.TempDir())
	fill(t, l)
	must(t, l.SetAddresses([]kernel.IfAddr{{Interface: "eth1", Prefix: netip.MustParsePrefix("10.0.0.1/32")}, {Interface: "eth1", Prefix: netip.MustParsePrefix("10.0.0.1/32")}}))
	must(t, l.SetServices(nil))
	want := content{Addresses: []kernel.IfAddr{{Interface: "eth1", Prefix: netip.MustParsePrefix("10.0.0.1/32")}}, Sysctls: full.Sysctls}
	if diff := cmp.Diff(want, contents(reopen(t, l)), samePrefix, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFirstFoundValueOfASysctlStays(t *testing.T) {
	l := openState(t, t.TempDir())
	must(t, l.RecordSysctl(Sysctl{"k", "0", "1"}))
	l = reopen(t, l)
	must(t, l.RecordSysctl(Sysctl{"k", "1", "2"}, Sysctl{"j", "7", "8"}))
	want := []Sysctl{{"j", "7", "8"}, {"k", "0", "2"}}
	if diff := cmp.Diff(want, reopen(t, l).Sysctls(), samePrefix, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	here, err := thisKernel()
	must(t, err)
	boot := here.boot
	good := `{"version": 2, "boot_id": "` + boot + `", "sysctls": [{"key": "k", "found": "0", "wrote": "1"}]}`
	tests := []struct {
		name    string
		content string
		warning string // substring; "": no warning
		sysctls int
	}{
		{"good", good, "", 1},
		{"of another boot", strings.Replace(good, boot, "57910aff-0000-43cf-ba64-0d33e7c26278", 1), "", 0},
		{"of this network namespace", strings.Replace(good, `"sysctls"`, `"net": "`+here.net+`", "sysctls"`, 1), "", 1},
		{"of another network namespace", strings.Replace(good, `"sysctls"`, `"net": "net:[1]", "sysctls"`, 1), "", 0},
		{"empty", "", "unexpected end of JSON input", 0},
		{"truncated", good[:len(good)-10], "unexpected end of JSON input", 0},
		{"garbage", "\x00\xff\x00garbage", "invalid character", 0},
		{"another type", `[1, 2]`, "cannot unmarshal", 0},
		{"a future version", strings.Replace(good, "2", "3", 1), "version 3 is not 1 or 2", 0},
		{"null", "null", "version 0 is not 1 or 2", 0},
		{"too long", strings.Repeat(" ", maxBytes+1), "too many", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.WriteFile(filepath.Join(dir, fileName), []byte(tt.content), 0o600))
			l := openState(t, dir)
			if !strings.Contains(l.Warning(), tt.warning) || (tt.warning == "") != (l.Warning() == "") {
				t.Errorf("warning %q, want one with %q", l.Warning(), tt.warning)
			}
			renamed, err := os.ReadFile(filepath.Join(dir, unreadableName))
			if tt.warning != "" && (err != nil || string(renamed) != tt.content) || tt.warning == "" && err == nil {
				t.Errorf("renamed file: %v, %.20q; want the unreadable content, and no file otherwise", err, renamed)
			}
			if len(l.Sysctls()) != tt.sysctls {
				t.Errorf("sysctls %v, want %d", l.Sysctls(), tt.sysctls)
			}
			must(t, l.RecordAddress(kernel.IfAddr{Interface: "lo", Prefix: netip.MustParsePrefix("10.77.0.100/32")}))
			if again := reopen(t, l); again.Warning() != "" || len(again.Addresses()) != 1 {
				t.Errorf("after saving: warning %q, addresses %v", again.Warning(), again.Addresses())
			}
		})
	}
}

func TestAnUnfinishedFileOfAKilledDaemonIsSweptAndChangesNothing(t *testing.T) {
	l := openState(t, t.TempDir())
	fill(t, l)
	must(t, l.Close())
	unfinished := filepath.Join(filepath.Dir(l.path), "."+fileName+"123456")
	must(t, os.WriteFile(unfinished, []byte(`{"version": 1, "boot`), 0o600))
	if diff := cmp.Diff(full, contents(openState(t, filepath.Dir(l.path))), samePrefix, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := os.Stat(unfinished); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", unfinished, err)
	}
}

// TestMain makes the test binary the other process of the tests below if its environment names a directory.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STATEFILE_TEST_HOLD"); dir != "" {
		fmt.Println(holdAndRecord(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// holdAndRecord opens a directory, prints "holding" and records until it is killed. It returns the first error.
func holdAndRecord(dir string) error {
	l, err := open(dir, patient, begin)
	if err != nil {
		return err
	}
	fmt.Println("holding")
	for i := 0; ; i++ {
		if err := l.RecordSysctl(Sysctl{"k", fmt.Sprint(i), "1"}, Sysctl{fmt.Sprint("k", i%50), fmt.Sprint(i), "1"}); err != nil {
			return err
		}
	}
}

func TestOneHolderAndAKillAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	for range 5 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "STATEFILE_TEST_HOLD="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
			t.Errorf("the other process printed %q (%v)", line, err)
		}
		_, err = open(dir, patient, begin)
		want := fmt.Sprintf("another lvs-director holds %s (pid %d): stop it or use another --state-dir", dir, cmd.Process.Pid)
		if !errors.Is(err, ErrLocked) || err.Error() != want {
			t.Errorf("Open beside a holder: %v\nwant %s", err, want)
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
		l := openState(t, dir)
		first := ""
		for _, s := range l.Sysctls() {
			if s.Key == "k" {
				first = s.Found
			}
		}
		if l.Warning() != "" || (len(l.Sysctls()) > 0 && first != "0") {
			t.Errorf("after the kill: warning %q, first value %q", l.Warning(), first)
		}
		must(t, l.Close())
	}
}

// A daemon starts even if its directory cannot be used: the state is kept in memory, and the error says why.
func TestADirectoryThatCannotBeUsed(t *testing.T) {
	parent := t.TempDir()
	must(t, os.Chmod(parent, 0o755))
	closed, file := filepath.Join(parent, "closed"), filepath.Join(parent, "file")
	must(t, os.Mkdir(closed, 0o555))
	must(t, os.WriteFile(file, nil, 0o600))
	for _, tt := range []struct{ dir, reason string }{
		{closed, "permission denied"},
		{filepath.Join(closed, "state"), "permission denied: make it writable for this daemon or use another --state-dir"},
		{filepath.Join(parent, "state\x00"), "invalid argument: use another --state-dir"},
		{file, "not a directory: use another --state-dir"},
	} {
		as, spawn := func(_ *testing.T, f func() error) error { return f() }, begin
		if strings.Contains(tt.reason, "permission") {
			as, spawn = asNobody, func(f func()) { f() } // in the thread that has lost the permissions
		}
		must(t, as(t, func() error {
			l, err := open(tt.dir, patient, spawn)
			if err != nil {
				return err
			}
			if err := l.RecordAddress(full.Addresses...); err == nil || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("%s: record: %v; want %q", tt.dir, err, tt.reason)
			}
			if err := l.Keep(); err == nil || !strings.Contains(err.Error(), "kept in memory only") {
				t.Errorf("%s: keep: %v; want that it is kept in memory only", tt.dir, err)
			}
			if diff := cmp.Diff([]kernel.IfAddr(full.Addresses), l.Addresses(), samePrefix, sameAddr); diff != "" {
				t.Errorf("%s: in memory (-want +got):\n%s", tt.dir, diff)
			}
			return l.Close()
		}))
	}
	l := openState(t, filepath.Join(file, "state"))
	if err := l.Held(); err == nil {
		t.Error("Held returned nil for a directory that cannot be created")
	}
	_ = l.RecordAddress(full.Addresses...)
}

// The next Keep restores the file, the directory and the lock after another process removed or damaged them.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, tt := range []struct {
		name string
		hand func() error
	}{
		{"nothing", func() error { return nil }},
		{"file removed", func() error { return os.Remove(filepath.Join(dir, fileName)) }},
		{"file overwritten", func() error { return os.WriteFile(filepath.Join(dir, fileName), []byte("{}"), 0o600) }},
		{"directory removed", func() error { return os.RemoveAll(dir) }},
		{"directory renamed", func() error { return os.Rename(dir, dir+".old") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := openState(t, dir)
			fill(t, l)
			held, err := os.Open(l.path) // while it is open its inode number is not reused
			must(t, err)
			defer held.Close()
			before, err := held.Stat()
			must(t, err)
			must(t, tt.hand())
			must(t, l.Keep())
			after, err := os.Stat(l.path)
			must(t, err)
			if same := os.SameFile(before, after); same != (tt.name == "nothing") {
				t.Errorf("the file is the same: %t", same)
			}
			if _, err := open(dir, patient, begin); !errors.Is(err, ErrLocked) {
				t.Errorf("Open beside it: %v; want that it is locked", err)
			}
			if diff := cmp.Diff(full, contents(reopen(t, l)), samePrefix, sameAddr); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// asNobody runs f with the file permissions of nobody if the test runs as root, which ignores mode bits.
func asNobody(t *testing.T, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			failed <- errno
			return
		}
		failed <- f()
	}()
	return <-failed
}

func TestWhatCannotBeSavedIsRememberedAndSavedLater(t *testing.T) {
	l := openState(t, t.TempDir())
	// A directory in place of the file makes the rename fail even for root.
	must(t, os.Remove(l.path))
	must(t, os.MkdirAll(filepath.Join(l.path, "in the way"), 0o700))
	if err := l.RecordAddress(full.Addresses...); err == nil || !strings.Contains(err.Error(), "kept in memory only") {
		t.Errorf("saving over a directory: %v", err)
	}
	if diff := cmp.Diff([]kernel.IfAddr(full.Addresses), l.Addresses(), samePrefix, sameAddr); diff != "" {
		t.Errorf("in memory (-want +got):\n%s", diff)
	}
	must(t, os.RemoveAll(l.path))
	must(t, l.RecordAddress(full.Addresses...)) // already recorded, but not saved
	if diff := cmp.Diff([]kernel.IfAddr(full.Addresses), reopen(t, l).Addresses(), samePrefix, sameAddr); diff != "" {
		t.Errorf("saved later (-want +got):\n%s", diff)
	}
}

func TestClosedFileRefusesChanges(t *testing.T) {
	l := openState(t, t.TempDir())
	must(t, l.Close())
	must(t, l.Close())
	if err := l.SetServices(full.Services); !errors.Is(err, ErrClosed) {
		t.Errorf("SetServices after Close: %v", err)
	}
}

// TestContentModel compares the content with plain maps after random sequences of changes.
func TestContentModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var b content
		found, wrote := map[string]string{}, map[string]string{}
		addresses := map[kernel.IfAddr]bool{}
		address := rapid.Custom(func(r *rapid.T) kernel.IfAddr {
			return kernel.IfAddr{
				Interface: rapid.SampledFrom([]string{"lo", "eth0"}).Draw(r, "interface"),
				Prefix:    netip.MustParsePrefix(rapid.SampledFrom([]string{"10.0.0.1/32", "10.0.0.2/32", "fd00::1/128"}).Draw(r, "prefix")),
			}
		})
		key := rapid.SampledFrom([]string{"i", "j", "k"})
		r.Repeat(map[string]func(*rapid.T){
			"address": func(r *rapid.T) {
				a := address.Draw(r, "address")
				if changed := replace(&b.Addresses, append(b.Addresses, a), compareAddresses); changed == addresses[a] {
					r.Fatalf("adding %v: changed %v", a, changed)
				}
				addresses[a] = true
			},
			"forget address": func(r *rapid.T) {
				a := address.Draw(r, "address")
				replace(&b.Addresses, without(b.Addresses, []kernel.IfAddr{a}), compareAddresses)
				delete(addresses, a)
			},
			"sysctl": func(r *rapid.T) {
				s := Sysctl{key.Draw(r, "key"), rapid.StringN(1, 2, 2).Draw(r, "found"), rapid.StringN(1, 2, 2).Draw(r, "wrote")}
				replace(&b.Sysctls, merged(b.Sysctls, []Sysctl{s}), compareSysctls)
				if _, known := found[s.Key]; !known {
					found[s.Key] = s.Found
				}
				wrote[s.Key] = s.Wrote
			},
			"": func(r *rapid.T) {
				if len(b.Addresses) != len(addresses) || len(b.Sysctls) != len(found) {
					r.Fatalf("%v differs from %v, %v", b, addresses, found)
				}
				for _, s := range b.Sysctls {
					if found[s.Key] != s.Found || wrote[s.Key] != s.Wrote {
						r.Fatalf("%v: want found %q, wrote %q", s, found[s.Key], wrote[s.Key])
					}
				}
			},
		})
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version": 1, "boot_id": "b", "addresses": [{"interface": "lo", "prefix": "p"}, {"interface": "lo", "prefix": "10.0.0.1/32"}], "sysctls": [{"key": "k"}, {"key": "k"}]}`))
	f.Add([]byte(`{"version": 1, "services": [{"protocol": "tcp", "address": "10.0.0.1", "port": "80"}]}`))
	f.Add([]byte(`{"version": 2, "services": null}`))
	f.Add([]byte(`{"version": 2, "services": [{"protocol": "fwm", "address": "::", "mark": 5}, {"protocol": "tcp", "address": "fd00::1", "port": 80}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decode(data)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), fileName)
		must(t, b.save(path))
		again, warning := load(path, origin{b.BootID, b.Net})
		if diff := cmp.Diff(b, again, cmpopts.EquateEmpty(), samePrefix, sameAddr); diff != "" || warning != "" {
			t.Errorf("saved and loaded (-want +got), warning %q:\n%s", warning, diff)
		}
	})
}

// Calls do not wait for long if the disk does not respond, and unsaved changes are saved when it responds again.
func TestADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openState(t, t.TempDir())
		thaw := make(chan struct{})
		frozen := true
		l.timeout, l.spawn = diskTimeout, func(f func()) {
			go func() {
				if frozen {
					<-thaw
				}
				f()
			}()
		}
		for i, most := range []time.Duration{diskTimeout, 0, 0} { // later calls do not wait
			begun := time.Now()
			err := l.RecordAddress(kernel.IfAddr{Interface: "eth0", Prefix: netip.MustParsePrefix(fmt.Sprintf("10.77.0.%d/32", i))})
			if err == nil || !strings.Contains(err.Error(), "the disk does not answer") {
				t.Errorf("%d: %v", i, err)
			}
			if took := time.Since(begun); took != most {
				t.Errorf("%d: took %s, want %s", i, took, most)
			}
		}
		if n := len(l.Addresses()); n != 3 {
			t.Errorf("%d addresses in memory, want 3", n)
		}
		close(thaw)
		synctest.Wait()
		frozen, l.timeout = false, patient
		must(t, l.Keep())
		if n := len(contents(reopen(t, l)).Addresses); n != 3 {
			t.Errorf("%d addresses in the file, want 3", n)
		}
	})
}
