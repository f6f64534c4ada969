package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
	"github.com/lvs-director/lvs-director/e2e/suite"
	"github.com/lvs-director/lvs-director/internal/require"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseTest(t *testing.T) {
	t.Setenv("LVS_LAB_OUT", "")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	defaults := testFlags{memory: guest.DefaultMemory, speed: 1, hurry: 1, limit: 30 * time.Minute, programs: []suite.Program{{Binary: "/x.test", Dir: here}}}
	for args, change := range map[string]func(*testFlags){
		"/x.test": func(*testFlags) {},
		"-short -run A|B/c /x.test": func(f *testFlags) {
			f.form, f.limit = suite.Form{Short: true, Tests: "A|B", Subtests: "/c"}, 5*time.Minute
		},
		"-long-only -limit 1m -guests 3 /x.test=/src": func(f *testFlags) {
			f.form.LongOnly, f.limit, f.guests, f.programs[0].Dir = true, time.Minute, 3, "/src"
		},
		"-kernel debian /x.test": func(f *testFlags) { f.kernel = suite.Debian },
		"-budget 8m -begun 7 -v -list -speed 2 -hurry 10 -mem 512 -out o /x.test y.test=e2e": func(f *testFlags) {
			f.budget, f.begun, f.verbose, f.list, f.speed, f.hurry, f.memory, f.out = 8*time.Minute, 7, true, true, 2, 10, 512, "o"
			f.programs = append(f.programs, suite.Program{Binary: filepath.Join(here, "y.test"), Dir: filepath.Join(here, "e2e")})
		},
	} {
		want := defaults
		want.programs = append([]suite.Program(nil), defaults.programs...)
		change(&want)
		got, err := parseTest(strings.Fields(args), io.Discard)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(testFlags{})); err != nil || diff != "" {
			t.Errorf("%s: %v, -want +got:\n%s", args, err, diff)
		}
	}
	for _, args := range []string{"", "-short", "-short -long-only x", "-guests -1 x", "-budget -1s x", "-run ( x", "-run a/( x", "-limit soon x", "-kernel linux x"} {
		if _, err := parseTest(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestMeminfo(t *testing.T) {
	if got := meminfo("MemTotal:       8000 kB\nMemAvailable:   2097152 kB\n"); got != 2048 {
		t.Errorf("%d MiB", got)
	}
	if got := meminfo("MemTotal:       8000 kB\n"); got != 0 {
		t.Errorf("%d MiB", got)
	}
	if memoryAvailable() <= 0 {
		t.Error("no available memory was found")
	}
}

// fake is a runner without a guest.
type fake struct {
	runs  func(ctx context.Context, j suite.Job) bool // reports whether another job may follow
	ended *atomic.Int32
	ran   []string
	over  bool // no other job may follow
}

func (f *fake) run(ctx context.Context, j suite.Job, _ time.Duration) (suite.Outcome, bool) {
	reusable := f.runs(ctx, j)
	o := suite.Outcome{Job: j, Tally: suite.Tally{Passed: 1}}
	if f.over || j.Exclusive && len(f.ran) > 0 {
		o.Tally, o.Reason = suite.Tally{Failed: 1}, fmt.Sprintf("%s ran after %v", j.Name, f.ran)
	}
	f.ran, f.over = append(f.ran, j.Name), !reusable || j.Exclusive
	return o, reusable
}

func (f *fake) end() { f.ended.Add(1) }

func scenarios(names string) (jobs []suite.Job) {
	for name := range strings.FieldsSeq(names) {
		j := suite.Job{Name: name, Kernel: suite.UML, Scenario: &suite.Scenario{}}
		if name == "exclusive" {
			j.Exclusive, j.Expected = true, 2*suite.Unknown // so that it is first
		}
		if name == "debian" {
			j.Kernel, j.Expected = suite.Debian, time.Second // so that it is last
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func TestPool(t *testing.T) {
	jobs := scenarios("a b dies c exclusive d e f debian")
	var booted, ended atomic.Int32
	report := &suite.Report{To: io.Discard}
	c := &pool{queue: suite.NewQueue(jobs), report: report, boot: func(context.Context, string) (runner, error) {
		booted.Add(1)
		return &fake{runs: func(_ context.Context, j suite.Job) bool { return j.Name != "dies" }, ended: &ended}, nil
	}}
	if err := c.run(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if n := report.Tally().Passed; n != len(jobs) || len(notRun(jobs, report.Outcomes)) != 0 {
		t.Errorf("%d of %d jobs ran: %+v", n, len(jobs), report.Outcomes)
	}
	if booted.Load() != ended.Load() || booted.Load() < 2 {
		t.Errorf("%d guests booted, %d ended", booted.Load(), ended.Load())
	}
}

// TestPoolWithoutGuests: a guest that does not boot ends the run, and no scenario is reported as failed.
func TestPoolWithoutGuests(t *testing.T) {
	var ended atomic.Int32
	first, cannot := make(chan struct{}), errors.New("cannot boot")
	var boots atomic.Int32
	jobs, report := scenarios("a b c"), &suite.Report{To: io.Discard}
	c := &pool{queue: suite.NewQueue(jobs), report: report, boot: func(context.Context, string) (runner, error) {
		if boots.Add(1) == 2 {
			<-first
			return nil, cannot
		}
		return &fake{runs: func(ctx context.Context, _ suite.Job) bool {
			close(first)
			<-ctx.Done()
			return false
		}, ended: &ended}, nil
	}}
	err := c.run(t.Context(), 2)
	if !errors.Is(err, cannot) || ended.Load() != 1 || len(report.Outcomes) != 0 || len(notRun(jobs, report.Outcomes)) != 3 {
		t.Errorf("error %v, %d ended, outcomes %v", err, ended.Load(), report.Outcomes)
	}
}

// TestPoolInterrupted: an interruption ends the running job, which is not reported as failed.
func TestPoolInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	var ended atomic.Int32
	jobs, report := scenarios("a b c"), &suite.Report{To: io.Discard}
	c := &pool{queue: suite.NewQueue(jobs), report: report, boot: func(context.Context, string) (runner, error) {
		return &fake{runs: func(ctx context.Context, j suite.Job) bool {
			if j.Name == "b" {
				interrupt()
				<-ctx.Done()
			}
			return true
		}, ended: &ended}, nil
	}}
	err := c.run(ctx, 1)
	if !errors.Is(err, context.Canceled) || ended.Load() != 1 || len(report.Outcomes) != 1 || len(notRun(jobs, report.Outcomes)) != 2 {
		t.Errorf("error %v, %d ended, outcomes %v", err, ended.Load(), report.Outcomes)
	}
}

// TestSilentGuest: a guest that sends nothing any more is killed, long after its job should have ended.
func TestSilentGuest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders, toWorker := io.Pipe()
		fromWorker, answers := io.Pipe()
		v := &session{orders: toWorker, output: fromWorker, answer: json.NewDecoder(fromWorker), ended: make(chan struct{}), speed: 2}
		v.cancel = sync.OnceFunc(func() {
			v.err = errors.New("killed")
			close(v.ended)
			answers.CloseWithError(io.ErrUnexpectedEOF)
		})
		go func() { // reads the order, sends some output, and hangs
			var o suite.Order
			_ = json.NewDecoder(orders).Decode(&o)
			_ = json.NewEncoder(answers).Encode(suite.Message{Output: []byte("some output\n")})
		}()
		begun := time.Now()
		o, reusable := v.run(t.Context(), suite.Job{Name: "x"}, time.Minute)
		if took := time.Since(begun); reusable || o.Reason != "its guest ended: killed" || o.Output != "some output\n" || took != 2*2*time.Minute+2*time.Minute {
			t.Errorf("after %s: reusable %v, %+v", took, reusable, o)
		}
	})
}

func TestRequireAll(t *testing.T) {
	got := requireAll([]string{"PATH=/bin", "LVS_REQUIRE=guest", "CI=true"})
	if diff := cmp.Diff([]string{"PATH=/bin", "CI=true", "LVS_REQUIRE=all"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHistory(t *testing.T) {
	var stderr bytes.Buffer
	h := history{filepath.Join(t.TempDir(), "durations.json")}
	if got := h.load(&stderr); len(got) != 0 || stderr.Len() != 0 {
		t.Errorf("%v, %s", got, &stderr)
	}
	ran := func(name string, failed int) suite.Outcome {
		return suite.Outcome{Job: suite.Job{Name: name, Binary: "/x", Kernel: suite.UML}, Took: time.Second, Tally: suite.Tally{Failed: failed}}
	}
	h.save(&stderr, suite.Form{Short: true}, []suite.Outcome{ran("a", 0), ran("b", 1)})
	h.save(&stderr, suite.Form{}, []suite.Outcome{ran("c", 0)})
	h.save(&stderr, suite.Form{Subtests: "/part"}, []suite.Outcome{ran("d", 0)})
	want := suite.Durations{"x a daily uml": time.Second, "x c long uml": time.Second}
	if diff := cmp.Diff(want, h.load(&stderr)); diff != "" || stderr.Len() != 0 {
		t.Errorf("%s, -want +got:\n%s", &stderr, diff)
	}
	if err := os.WriteFile(h.path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := h.load(&stderr); len(got) != 0 || !strings.Contains(stderr.String(), "remove the file") {
		t.Errorf("%v, %s", got, &stderr)
	}
}

// buildFixture builds labrun and the test binary of testdata/fixture.
func buildFixture(t *testing.T) (labrun, fixture string) {
	t.Helper()
	dir := t.TempDir()
	labrun, fixture = filepath.Join(dir, "labrun"), filepath.Join(dir, "fixture.test")
	for _, args := range [][]string{{"build", "-o", labrun, "."}, {"test", "-c", "-o", fixture, "./testdata/fixture"}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v: %s", args, err, out)
		}
	}
	return labrun, fixture
}

// fixtureOutput returns regular expressions for the output of labrun test for testdata/fixture.
func fixtureOutput() []string {
	return []string{
		`\A13 scenarios and 0 packages in the daily form, in 2 guests at a time\nonly in the long form: TestLong\n`,
		`\nok   TestPasses +\d+\.\d s\n`,
		`\nok   TestSecondKernel +\S+ s\n`,
		`\nFAIL TestFails +\S+ s\n    fixture_test.go:\d+: output of a failed test\n--- FAIL: TestFails`,
		`\nFAIL TestPanics +\S+ s\n--- FAIL: TestPanics .*\npanic: output of a panic`,
		`\nFAIL TestHangs +\S+ s  it did not end within 10s of guest time\nSIGQUIT: quit\n[^~]*fixture\.hang\(`,
		`\nskip TestSkips +\S+ s\n    fixture_test.go:\d+: for a reason\n`,
		`\nFAIL TestMissing +\S+ s\n.*iptables is required \(LVS_REQUIRE=all\)`,
		`\nok   TestExclusive +\S+ s\n`,
		`\nFAIL TestLeavesThings +\S+ s  left behind in the guest: mount /run/netns; mount /run/netns/left; process \d+ \(sleep 1000\); removed module dummy\n`,
		`\nFAIL TestEndsTheGuest +\S+ s  its guest ended: [^~]*console output:\n[^~]*sysrq triggered crash`,
		`\nFAIL TestAsksTooLate +\S+ s  not declared when it was planned: lab\.HasLongForm`,
		`\nok   TestLonger +\S+ s\n`,
		`\nok   TestParts +\S+ s\n`,
		`\nslowest:\n( +\S+ s \(\S+ s in the guest\)  Test\w+\n){10}failed: `,
		`\nbudget: \S+ s of 3600\.0 s used\n5 passed, 7 failed, 1 skipped\n\z`,
	}
}

// TestRunTests runs scenarios that end in every possible way, in real guests.
func TestRunTests(t *testing.T) {
	if os.Getenv("LVS_LAB_INSIDE") != "" {
		t.Fatal("a guest cannot be booted inside the lab: run this test on the machine itself")
	}
	cache, err := guest.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	if trees, _ := filepath.Glob(filepath.Join(cache.Dir, "*", "tree")); len(trees) == 0 && !require.Required(t, require.Guest) {
		require.Skip(t, require.Guest, "no packages in %s: run `make lab` first (LVS_REQUIRE=guest fetches them here)", cache.Dir)
	}
	labrun, fixture := buildFixture(t)
	cmd := exec.CommandContext(t.Context(), labrun, "test", "-short", "-guests", "2", "-mem", "256", "-hurry", "20", "-limit", "10s", "-budget", "1h", fixture)
	cmd.Env = append(os.Environ(), "LVS_REQUIRE=guest") // for this machine; in a guest all parts are required
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v: %s", err, &stderr)
	}
	text := string(out)
	for _, want := range fixtureOutput() {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%q is not in the output", want)
		}
	}
	if strings.Contains(text, "output of a passed test") {
		t.Error("the output of a passed test is printed without -v")
	}
	if t.Failed() {
		t.Logf("%s%s", text, &stderr)
	}
}
