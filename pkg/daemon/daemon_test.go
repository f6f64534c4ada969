package daemon

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const clusterFile = "version: 1\ndirectors: [{name: lvs-master, address: 10.77.0.2}]\n" +
	"vrrp_instances: [{name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}]\n"

// fakeService runs until it is stopped, or fails.
type fakeService struct {
	fail    error
	started chan struct{}
	reloads atomic.Int64
}

func (s *fakeService) Run(ctx context.Context) error {
	close(s.started)
	if s.fail != nil {
		return s.fail
	}
	<-ctx.Done()
	return nil
}

func (s *fakeService) Reload(context.Context, bool) error {
	s.reloads.Add(1)
	return errors.New("not today")
}
func (s *fakeService) Status() any { return map[string]string{"node": "n"} }

// program is a Program with the service s.
func program(s *fakeService, refuse error) Program {
	return Program{
		Name: "lvs-test", Short: "a test", Socket: "/nonexistent/s",
		New: func(Environment) (Service, error) {
			if refuse != nil {
				return nil, refuse
			}
			return s, nil
		},
	}
}

func newService(fail error) *fakeService {
	return &fakeService{fail: fail, started: make(chan struct{})}
}

// execute runs the program. A daemon gets a state directory of the test, not that of the machine.
func execute(ctx context.Context, t *testing.T, stderr *logtest.Buffer, p Program, arguments ...string) int {
	t.Helper()
	root := Command(p)
	if len(arguments) > 0 && arguments[0] == "run" && !slices.Contains(arguments, "--state-dir") {
		arguments = append(slices.Clone(arguments), "--state-dir", filepath.Join(t.TempDir(), "state"))
	}
	root.SetArgs(arguments)
	root.SetOut(stderr)
	root.SetErr(stderr)
	return Execute(ctx, root)
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestExitCodes(t *testing.T) {
	file, broken := write(t, clusterFile), write(t, "version: 2\n")
	socket := filepath.Join(t.TempDir(), "s")
	inUse := filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(inUse, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		name      string
		service   *fakeService
		refuse    error
		arguments []string
		code      int
		says      string
	}{
		{"help", newService(nil), nil, nil, 0, "lvs-test"},
		{"version", newService(nil), nil, []string{"--version"}, 0, "version"},
		{"no such verb", newService(nil), nil, []string{"rum"}, ExitUsage, "unknown command"},
		{"no such flag", newService(nil), nil, []string{"run", "--conf", file}, ExitUsage, "unknown flag: --conf"},
		{"an argument too many", newService(nil), nil, []string{"run", file}, ExitUsage, "unknown command"},
		{"an invalid log format", newService(nil), nil, []string{"run", "--config", file, "--log-format", "xml"}, ExitUsage, "must be text or json"},
		{"no file", newService(nil), nil, []string{"run", "--config", file + ".absent"}, ExitUsage, "no such file"},
		{"an invalid file", newService(nil), nil, []string{"run", "--config", broken}, ExitUsage, broken + ":1:10: version"},
		{"not this node", newService(nil), errors.New("no director here"), []string{"run", "--config", file}, ExitUsage, "lvs-test: no director here"},
		{"a socket in use", newService(nil), nil, []string{"run", "--config", file, "--socket", inUse}, ExitFailed, "another daemon answers"},
		{"the service fails", newService(errors.New("no ip_vs")), nil, []string{"run", "--config", file, "--socket", socket}, ExitFailed, "lvs-test: no ip_vs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr logtest.Buffer
			code := execute(t.Context(), t, &stderr, program(tt.service, tt.refuse), tt.arguments...)
			if code != tt.code || !strings.Contains(stderr.String(), tt.says) {
				t.Errorf("exit %d, %q; want %d, %q", code, stderr.String(), tt.code, tt.says)
			}
		})
	}
}

// The problems of a file begin with their position, without the program's name, so that editors can jump to them.
func TestProblemsOfAFileStandAlone(t *testing.T) {
	broken := write(t, "version: 2\n")
	var stderr logtest.Buffer
	execute(t.Context(), t, &stderr, program(newService(nil), nil), "run", "--config", broken)
	for _, line := range strings.Split(strings.TrimSpace(stderr.String()), "\n") {
		if !strings.HasPrefix(line, broken+":") {
			t.Errorf("%q", line)
		}
	}
}

func TestSignals(t *testing.T) {
	s, socket := newService(nil), filepath.Join(t.TempDir(), "s")
	var stderr logtest.Buffer
	code := make(chan int, 1)
	go func() {
		code <- execute(context.Background(), t, &stderr, program(s, nil), "run", "--config", write(t, clusterFile), "--socket", socket)
	}()
	<-s.started
	if text, err := api.NewClient(socket).Status(t.Context()); err != nil || !strings.Contains(string(text), `"n"`) {
		t.Errorf("status %q, %v", text, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(stderr.String(), "not today"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a refused reload was not logged: %d reloads, %q", s.reloads.Load(), stderr.String())
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 0 || s.reloads.Load() != 1 {
		t.Errorf("exit %d after %d reloads, want 0 after 1", got, s.reloads.Load())
	}
	if _, err := os.Lstat(socket); err == nil {
		t.Error("the socket was not removed")
	}
}

func TestVerbWithoutAUsableFile(t *testing.T) {
	var seen Environment
	root := Command(program(newService(nil), nil))
	root.AddCommand(Verb("tidy", "tidies", func(*pflag.FlagSet) func(Environment) error {
		return func(e Environment) error { seen = e; return nil }
	}))
	var stderr logtest.Buffer
	root.SetErr(&stderr)
	root.SetArgs([]string{"tidy", "--config", filepath.Join(t.TempDir(), "absent"), "--node", "lvs-master", "--state-dir", "/state"})
	if code := Execute(t.Context(), root); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	if seen.Config != nil || seen.StateDir != "/state" || !slices.Equal(seen.Node, []string{"lvs-master"}) {
		t.Errorf("%+v", seen)
	}
	if !strings.Contains(stderr.String(), "cannot be used") {
		t.Errorf("not reported: %q", stderr.String())
	}
}

func TestLogHasNoTimeUnderTheJournal(t *testing.T) {
	for _, journal := range []bool{false, true} {
		for format, time := range map[string]string{"text": "time=", "json": `"time":`} {
			var stderr logtest.Buffer
			log, err := logTo(flags{logFormat: format}, &stderr, journal)
			if err != nil {
				t.Fatal(err)
			}
			log.Info("hello")
			if got := strings.Contains(stderr.String(), time); got == journal || !strings.Contains(stderr.String(), "hello") {
				t.Errorf("journal %t, %s: %q", journal, format, stderr.String())
			}
		}
	}
}

func TestNames(t *testing.T) {
	if got := Names("lvs-master"); !slices.Equal(got, []string{"lvs-master"}) {
		t.Errorf("--node: %v", got)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := Names(""); len(got) == 0 || got[0] != host || len(got) == 2 && !strings.HasPrefix(host, got[1]+".") {
		t.Errorf("hostname %s: %v", host, got)
	}
}
