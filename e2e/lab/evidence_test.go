package lab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// failing is a lab.T that records failures without failing the real test.
type failing struct {
	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (f *failing) Helper()                    {}
func (f *failing) Name() string               { return "TestSomething/that_fails" }
func (f *failing) Logf(s string, args ...any) { fmt.Fprintf(&f.log, s+"\n", args...) }
func (f *failing) Errorf(s string, a ...any)  { f.failed = true; f.Logf(s, a...) }
func (f *failing) Fatalf(s string, a ...any)  { f.Errorf(s, a...); runtime.Goexit() }
func (f *failing) Failed() bool               { return f.failed }
func (f *failing) Cleanup(cleanup func())     { f.cleanups = append(f.cleanups, cleanup) }
func (f *failing) run(scenario func(t lab.T)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(f.cleanups) - 1; i >= 0; i-- {
				f.cleanups[i]()
			}
		}()
		scenario(f)
	}()
	<-done
}

func TestFailedScenarioKeepsItsEvidence(t *testing.T) {
	t.Setenv("LVS_LAB_OUT", t.TempDir())
	var f failing
	var pid int
	f.run(func(t lab.T) {
		n := lab.New(t)
		lan := n.Bridge("lan")
		alpha := n.Host("alpha", lan.At("10.77.0.1/24"))
		d := alpha.Start("talker", "sh", "-c", "echo a line of the log; setsid sleep 1000 & echo $!; exec sleep 1000")
		d.WaitLog(`^\d+$`, 5*time.Second)
		pid = d.PID()
		d.WaitLog("a line that never comes", 50*time.Millisecond)
	})
	dir := filepath.Join(os.Getenv("LVS_LAB_OUT"), "TestSomething.that_fails")
	summary, err := os.ReadFile(filepath.Join(dir, "summary.txt"))
	if err != nil {
		t.Error(err)
	}
	for text, wants := range map[string][]string{
		f.log.String():  {"log of talker on alpha: no line matches \"a line that never comes\" after 50ms", "are kept in " + dir},
		string(summary): {"inet 10.77.0.1/24", "log of talker on alpha (running)", "a line of the log"},
	} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in:\n%s", want, text)
			}
		}
	}
	for _, pattern := range []string{"*-alpha-talker.log", "switch-lan.pcap"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) != 1 {
			t.Errorf("%s in %s: %v, %v", pattern, dir, found, err)
		}
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Errorf("process %d is still running", pid)
	}
	for _, path := range processNames(t) {
		if path == "sleep 1000" {
			t.Error("a stray process is still running")
		}
	}
}

func processNames(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // the process has exited meanwhile
		}
		names = append(names, strings.TrimSpace(strings.ReplaceAll(string(content), "\x00", " ")))
	}
	return names
}

func TestMisuseIsReported(t *testing.T) {
	t.Setenv("LVS_LAB_OUT", t.TempDir())
	misuses := map[string]func(lab.T, *lab.Bridge){
		`lab: address of an interface: netip.ParsePrefix("10.77.0.2"): no '/' (write it as 10.77.0.2/24)`: func(_ lab.T, lan *lab.Bridge) {
			lan.At("10.77.0.2")
		},
		`lab: measure: "10.77.0.100" is not an address and port`: func(t lab.T, _ *lab.Bridge) {
			measure.Start(lab.New(t).Host("client"), "10.77.0.100", measure.Options{})
		},
		`lab: client has no interface eth0`: func(t lab.T, _ *lab.Bridge) {
			lab.New(t).Host("client").Link("eth0")
		},
		`lab: start nothing on client: exec: "no-such-program": executable file not found in $PATH`: func(t lab.T, _ *lab.Bridge) {
			lab.New(t).Host("client").Start("nothing", "no-such-program")
		},
	}
	for want, misuse := range misuses {
		var f failing
		f.run(func(t lab.T) { misuse(t, lab.New(t).Bridge("lan")) })
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("want %q in %s", want, f.log.String())
		}
	}
}
