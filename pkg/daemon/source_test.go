package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/rolelock"
	"github.com/lvs-director/lvs-director/pkg/logtest"
)

const otherFile = clusterFile + "# another\n"

// following is a service that loads its file as a real one does.
type following struct {
	Environment
	running string // digest
	refuse  error  // the reason to refuse a valid file
}

func (f *following) Run(ctx context.Context) error {
	f.running = f.Config.Digest
	f.Started()
	<-ctx.Done()
	return nil
}

func (f *following) Reload(context.Context, bool) error {
	cfg, err := f.Load()
	if err == nil {
		err = f.refuse
	}
	if err == nil {
		f.running = cfg.Digest
	}
	return err
}

func (f *following) Status() any { return map[string]any{"problems": f.Problems()} }

// life is one run of a daemon with a file and a state directory, without sockets and signals.
type life struct {
	t *testing.T
	*source
	service *following
	stderr  *logtest.Buffer
	stop    func()
}

// live starts a daemon; the error is the reason why it does not start.
func live(t *testing.T, file, stateDir string) (*life, error) {
	t.Helper()
	return judged(t, file, stateDir, nil)
}

// judged is live for a program that judges files.
func judged(t *testing.T, file, stateDir string, judge func(before, cfg *config.Config) error) (*life, error) {
	t.Helper()
	l := &life{t: t, stderr: &logtest.Buffer{}}
	log, err := newLog(flags{logFormat: "text"}, l.stderr)
	if err != nil {
		t.Fatal(err)
	}
	l.source = newSource(file, stateDir, log)
	l.judge = judge
	f := flags{config: file, stateDir: stateDir}
	l.service = &following{Environment: f.environment(log, l.source)}
	if l.service.Config, err = l.begin(false); err != nil {
		return l, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.keep(ctx); close(done) }()
	watched := make(chan struct{})
	go func() { l.drift.watch(ctx, l.runningDigest); close(watched) }()
	running := make(chan struct{})
	go func() { _ = l.service.Run(ctx); close(running) }()
	l.stop = func() { cancel(); <-running; <-done; <-watched }
	synctest.Wait()
	return l, nil
}

// said are the texts of the problems of the cluster file.
func (l *life) said() string {
	var all []string
	for _, p := range l.problems() {
		all = append(all, p.Text)
	}
	return strings.Join(all, "\n")
}

func (l *life) copied() string {
	l.t.Helper()
	synctest.Wait()
	data, err := os.ReadFile(l.copy.Path())
	if err != nil && !os.IsNotExist(err) {
		l.t.Fatal(err)
	}
	return string(data)
}

func digest(t *testing.T, text string) string {
	t.Helper()
	cfg, problems := config.Parse("x", []byte(text))
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg.Digest
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLastGoodCopy: the running file is copied, a start with an unusable file runs the copy and reports it, and a
// reload of a corrected file ends that.
func TestLastGoodCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, file := t.TempDir(), write(t, clusterFile)
		l, err := live(t, file, state)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.copied(); got != clusterFile || len(l.problems()) != 0 {
			t.Errorf("copy %q, problems %q", got, l.said())
		}
		put(t, file, otherFile)
		if err := l.reload(t.Context(), l.service, false, "root"); err != nil || l.copied() != otherFile {
			t.Errorf("reload: %v; copy %q", err, l.copied())
		}
		put(t, file, clusterFile)
		l.service.refuse = errors.New("this machine has no IPVS")
		if err := l.reload(t.Context(), l.service, false, "root"); !errors.Is(err, l.service.refuse) || l.copied() != otherFile {
			t.Errorf("a valid file that was not applied: %v; copy %q", err, l.copied())
		}
		if got := l.said(); got != "the last reload was refused, the former cluster file stays in force: this machine has no IPVS" {
			t.Errorf("problems %q", got)
		}
		l.stop()

		for _, tt := range []struct{ name, text, says string }{
			{"two mistakes", "version: 1\nfoo: 1\nbar: 2\n", "there is nothing to do (add at least one of them) (and 3 more)"},
			{"empty", "", file + ":1:1: "},
			{"missing", "-", "cluster file: open " + file + ": no such file or directory"},
		} {
			put(t, file, tt.text)
			if tt.text == "-" {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			if l, err = live(t, file, state); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			problems := l.said()
			if l.service.running != digest(t, otherFile) || !strings.Contains(problems, l.copy.Path()) || !strings.Contains(problems, tt.says) {
				t.Errorf("%s: %s runs; problems %q, want %q in them", tt.name, l.service.running, problems, tt.says)
			}
			if log := l.stderr.String(); strings.Count(log, "level=ERROR") < 2 || !strings.Contains(log, "the last good copy runs") {
				t.Errorf("%s: not reported in\n%s", tt.name, log)
			}
			if err := l.reload(t.Context(), l.service, false, "root"); err == nil || len(l.problems()) != 1 || !strings.Contains(l.said(), "the last good copy") {
				t.Errorf("%s: reload: %v, problems %q", tt.name, err, l.said())
			}
			if l.copied() != otherFile {
				t.Errorf("%s: copy %q", tt.name, l.copied())
			}
			l.stop()
		}

		if l, err = live(t, file, state); err != nil {
			t.Fatal(err)
		}
		put(t, file, clusterFile)
		if err := l.reload(t.Context(), l.service, false, "root"); err != nil || len(l.problems()) != 0 || l.copied() != clusterFile {
			t.Errorf("a corrected file: %v, problems %q, copy %q", err, l.said(), l.copied())
		}
		l.stop()
	})
}

// A start judges what a reload judges: a file that this machine cannot run does not replace the one that ran last, if the
// machine can run that.
func TestStartJudgesAsAReload(t *testing.T) {
	without := func(missing ...string) func(before, cfg *config.Config) error {
		return func(before, cfg *config.Config) error {
			for _, i := range cfg.Instances {
				waited := slices.ContainsFunc(before.Instances, func(b config.Instance) bool { return b.Interface == i.Interface })
				if slices.Contains(missing, i.Interface) && !waited {
					return fmt.Errorf("no interface %s", i.Interface)
				}
			}
			return nil
		}
	}
	next := strings.Replace(clusterFile, "eth0", "ethO", 1)
	for _, tt := range []struct {
		name, last, file string
		missing          []string
		runs             string
		says             string
	}{
		{"nothing is missing", clusterFile, next, nil, next, ""},
		{"the new interface", clusterFile, next, []string{"ethO"}, clusterFile, "no interface ethO"},
		{"the same file", next, next, []string{"ethO"}, next, ""},
		{"the interface of both", next, next + "# more\n", []string{"ethO"}, next + "# more\n", ""},
		{"also the interface of the copy", clusterFile, next, []string{"eth0", "ethO"}, next, ""},
		{"without a copy", "", next, []string{"ethO"}, next, ""},
		{"a damaged copy", "version: 1", next, []string{"ethO"}, next, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				state, file := t.TempDir(), write(t, tt.file)
				if tt.last != "" {
					put(t, clusterfile.LastGoodIn(state).Path(), tt.last)
				}
				l, err := judged(t, file, state, without(tt.missing...))
				if err != nil {
					t.Fatal(err)
				}
				defer l.stop()
				problems := l.problems()
				if l.service.running != digest(t, tt.runs) || len(problems) > 1 || (len(problems) == 1) != (tt.says != "") || !strings.Contains(l.said(), tt.says) {
					t.Errorf("%.20s runs, problems %q, want %.20s and %q", l.service.running, l.said(), digest(t, tt.runs), tt.says)
				}
				if got := l.copied(); got != tt.runs {
					t.Errorf("the copy is %q, want %q", got, tt.runs)
				}
			})
		})
	}
}

// Beside another daemon of the role none starts, whatever its state directory and its socket are, and none runs the copy
// of a file that cannot be used.
func TestSecondDaemonOfARole(t *testing.T) {
	state, broken := t.TempDir(), write(t, "version: 2\n")
	put(t, clusterfile.LastGoodIn(state).Path(), clusterFile)
	role := fmt.Sprintf("lvs-test-%d", os.Getpid())
	first, err := rolelock.Acquire(role)
	if err != nil {
		t.Fatal(err)
	}
	run := func(file string, running bool) (int, string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s, stderr, code := newService(nil), &logtest.Buffer{}, make(chan int, 1)
		p := program(s, nil)
		p.Role = role
		go func() {
			code <- execute(ctx, t, stderr, p, "run", "--config", file, "--socket", filepath.Join(t.TempDir(), "s"), "--state-dir", state)
		}()
		if !running {
			<-s.started
			cancel()
		}
		return <-code, stderr.String()
	}
	held := fmt.Sprintf("lvs-test: %s (pid %d) runs in this network namespace already: stop it first", role, os.Getpid())
	if code, text := run(write(t, clusterFile), true); code != ExitFailed || !strings.HasPrefix(text, held) {
		t.Errorf("beside another one: exit %d, %s, want %s", code, text, held)
	}
	if code, text := run(broken, true); code != ExitUsage || strings.Contains(text, "the last good copy runs") {
		t.Errorf("beside another one, with a broken file: exit %d, %s", code, text)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock is released at the end
		if code, text := run(broken, false); code != 0 || !strings.Contains(text, "the last good copy runs") {
			t.Errorf("alone: exit %d, %s", code, text)
		}
	}
}

func TestNoUsableCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := write(t, "version: 2\n")
		for name, copied := range map[string]string{"none": "", "damaged": clusterFile[:20]} {
			state := t.TempDir()
			if copied != "" {
				put(t, clusterfile.LastGoodIn(state).Path(), copied)
			}
			l, err := live(t, file, state)
			if ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), file+":1:10: version") {
				t.Errorf("%s: %v, want the problem of the file", name, err)
			}
			if told := strings.Contains(l.stderr.String(), "cannot be used either"); told != (copied != "") {
				t.Errorf("%s: %q", name, l.stderr.String())
			}
		}
	})
}

// A copy that cannot be written is logged once and does not affect the service.
func TestCopyThatCannotBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, file := filepath.Join(t.TempDir(), "absent"), write(t, clusterFile)
		l, err := live(t, file, state)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := l.reload(t.Context(), l.service, false, "root"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if log := l.stderr.String(); strings.Count(log, "cannot save a copy") != 1 {
			t.Errorf("want it logged once:\n%s", log)
		}
		if err := os.Mkdir(state, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := l.reload(t.Context(), l.service, false, "root"); err != nil || l.copied() != clusterFile || !strings.Contains(l.stderr.String(), "saved again") {
			t.Errorf("%v, copy %q\n%s", err, l.copied(), l.stderr.String())
		}
		l.stop()
	})
}

// A reload continues when its client disconnects; a waiting reload is canceled.
func TestReloadOutlivesItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := live(t, write(t, clusterFile), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		gone, cancel := context.WithCancel(t.Context())
		slow := &slowService{following: l.service, begun: make(chan struct{}), goOn: make(chan struct{})}
		first := make(chan error)
		go func() { first <- l.reload(gone, slow, false, "root") }()
		<-slow.begun
		second := make(chan error)
		go func() { second <- l.reload(gone, slow, false, "root") }()
		synctest.Wait()
		cancel()
		if err := <-second; !errors.Is(err, context.Canceled) {
			t.Errorf("the second: %v", err)
		}
		close(slow.goOn)
		if err := <-first; err != nil {
			t.Errorf("the first: %v", err)
		}
	})
}

type slowService struct {
	*following
	begun, goOn chan struct{}
}

func (s *slowService) Reload(ctx context.Context, force bool) error {
	close(s.begun)
	select {
	case <-s.goOn:
		return s.following.Reload(ctx, force)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(reloadWithin / 2):
		return errors.New("the reload was not released")
	}
}

// TestWarningsAreLoggedOnce: not again at each reload, however often the file is refused in between and wherever the
// warning moves to; again if it comes back.
func TestWarningsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		warned := clusterFile + "tracks: [{name: spare, type: tcp, address: 10.77.0.9, port: 80}]\n"
		file := write(t, warned)
		l, err := live(t, file, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer l.stop()
		for _, tt := range []struct {
			text  string
			lines int
		}{
			{warned, 1}, {"# a line more\n" + warned, 1}, {"version: 2\n", 1}, {warned, 1}, {clusterFile, 1}, {warned, 2},
		} {
			put(t, file, tt.text)
			_ = l.reload(t.Context(), l.service, false, "root")
			if got := l.stderr.Count("no instance tracks spare"); got != tt.lines || l.stderr.Count("warning:") != 0 {
				t.Errorf("after %.20q: %d lines, want %d:\n%s", tt.text, got, tt.lines, l.stderr.String())
			}
		}
	})
}
