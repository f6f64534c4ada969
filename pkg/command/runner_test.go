package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/internal/require"
)

func TestMain(m *testing.M) {
	Main()
	goleak.VerifyTestMain(m)
}

// me is the user that tests run programs as: root runs nothing in a directory for temporary files.
func me() string {
	if os.Geteuid() == 0 {
		return "12345"
	}
	return strconv.Itoa(os.Geteuid())
}

// openDir is a directory that everybody may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func do(t *testing.T, limit time.Duration, c Command) Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return new(Runner).Run(ctx, c)
}

const long = time.Minute // never reached

func TestOutcomes(t *testing.T) {
	script := filepath.Join(openDir(t), "script")
	write := func(content string, mode os.FileMode) {
		t.Helper()
		_ = os.Remove(script)
		if err := os.WriteFile(script, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range []struct {
		name   string
		argv   []string
		before func()
		want   string // the outcome, begins with
		output string
	}{
		{"good", []string{"/bin/sh", "-c", "echo; echo all is well; echo more"}, nil, "exit status 0", "all is well"},
		{"bad", []string{"/bin/sh", "-c", "echo >&2 no; exit 7"}, nil, "exit status 7", "no"},
		{"a signal", []string{"/bin/sh", "-c", "kill -SEGV $$"}, nil, "ended by the signal segmentation fault", ""},
		{"much output", []string{"/bin/sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo 012345678901234567890123456789012345678901234567890123456789; i=$((i+1)); done"}, nil, "exit status 0", "0123456789"},
		{"control characters", []string{"/bin/sh", "-c", `printf 'a\033[31mb'`}, nil, "exit status 0", `a\x1b[31mb`},
		{"missing", []string{"/no/such/program"}, nil, "cannot be run: /no/such/program does not exist", ""},
		{"a directory", []string{"/bin/"}, nil, "cannot be run: /bin/ is a directory", ""},
		{"not executable", []string{script}, func() { write("#!/bin/sh\n", 0o644) }, "cannot be run: user " + me() + " may not execute " + script, ""},
		{"without an interpreter", []string{script}, func() { write("exit 0\n", 0o755) }, "cannot be run: " + script + " is no program for this machine, and no script", ""},
		{"a wrong interpreter", []string{script}, func() { write("#!/no/such/shell\n", 0o755) }, "cannot be run: the interpreter in the first line of " + script, ""},
		{"nobody has this name", nil, nil, "cannot be run: user no-such-user does not exist", ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			if one.before != nil {
				one.before()
			}
			c := Command{Argv: one.argv, User: me()}
			if one.argv == nil {
				c = Command{Argv: []string{"/bin/true"}, User: "no-such-user"}
			}
			got := do(t, long, c)
			unnoticed := strings.Contains(one.name, "interpreter")
			if tried := new(Runner).Try(t.Context(), c); tried.Unrunnable != got.Unrunnable && !unnoticed || unnoticed && tried.Unrunnable != "" {
				t.Errorf("%s: tried: %s", got, tried)
			}
			if !strings.HasPrefix(got.String(), one.want) || !strings.HasPrefix(got.Output, one.output) || one.output == "" && got.Output != "" {
				t.Errorf("%s, output %q, want %s, %q", got, got.Output, one.want, one.output)
			}
			if got.Good() != (one.want == "exit status 0") {
				t.Errorf("%s: good %t", got, got.Good())
			}
		})
	}
}

// TestWhatAProgramFinds: an empty standard input, no other descriptor, a known environment, and the root directory.
func TestWhatAProgramFinds(t *testing.T) {
	inherited, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0) // without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(inherited) }()
	t.Setenv("SECRET", "of the daemon")
	got := do(t, long, Command{User: me(), Env: []string{"LVS_TRACK=a"}, Argv: []string{
		"/bin/sh", "-c", `cat; echo $(ls -l /proc/$$/fd | grep -c -v pipe; pwd; env | grep -v '^[_P]' | cut -d= -f1 | sort)`,
	}})
	if want := "2 / HOME LANG LOGNAME LVS_TRACK USER"; got.Output != want { // of the descriptors, only /dev/null is no pipe; the other line is the sum
		t.Errorf("%q, want %q", got.Output, want)
	}
}

// TestKilledAtTheEndOfItsTime: with its children, also those that ignore SIGTERM, and without a zombie.
func TestKilledAtTheEndOfItsTime(t *testing.T) {
	for n, script := range []string{"echo $!; sleep 60", "trap '' TERM; while :; do sleep 60; done"} {
		dir := openDir(t)
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, strconv.Itoa(n))
		ctx, cancel := context.WithCancel(t.Context())
		child := make(chan int, 1)
		go func() { // its time is over when its child runs
			defer cancel()
			child <- pidIn(file)
		}()
		got := new(Runner).Run(ctx, Command{User: me(), Argv: []string{"/bin/sh", "-c", "sleep 60 & echo $! >" + file + ".new; mv " + file + ".new " + file + ";" + script}})
		if !got.TimedOut || got.Good() {
			t.Fatalf("%s: %s", script, got)
		}
		pid := <-child
		for deadline := time.Now().Add(long); alive(pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: its child lives", script)
			}
		}
		for deadline := time.Now().Add(long); children(t) != ""; time.Sleep(time.Millisecond) { // it may take longer than killGrace
			if time.Now().After(deadline) {
				t.Fatalf("%s: left: %s", script, children(t))
			}
		}
	}
}

// pidIn waits for a file and returns the process ID in it; 0 if there is none in time.
func pidIn(file string) int {
	for deadline := time.Now().Add(long); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if b, err := os.ReadFile(file); err == nil {
			pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
			return pid
		}
	}
	return 0
}

// alive reports whether a process runs; another process may not have reaped it yet.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z")
}

// children returns the children of this process that have not been reaped.
func children(t *testing.T) string {
	t.Helper()
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	var all string
	for _, file := range tasks {
		b, _ := os.ReadFile(file)
		all += string(b)
	}
	return all
}

// TestBackgroundProcess: one that keeps the output open does not delay the result.
func TestBackgroundProcess(t *testing.T) {
	got := do(t, long, Command{User: me(), Argv: []string{"/bin/sh", "-c", "sleep 60 & echo $!"}})
	pid, err := strconv.Atoi(got.Output)
	if err != nil || !got.Good() || got.Took > long/2 {
		t.Fatalf("%s, output %q", got, got.Output)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// TestNoSecondRun: while a killed run has not ended, no second one of the same subject is started, whenever that is, and the outcome says
// why. Those of others run.
func TestNoSecondRun(t *testing.T) {
	var r Runner
	c := Command{User: me(), Argv: []string{"/bin/true"}, Env: []string{"LVS_NAME=mysql1", "LVS_TIME=1"}}
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	one := &run{process: p, killed: time.Now(), ended: make(chan struct{})}
	go one.reap()
	ended := &run{ended: make(chan struct{})}
	close(ended.ended)
	r.leave(c.key(), one)
	r.leave(c.key(), ended)
	other := c
	other.Env = []string{"LVS_NAME=mysql2", "LVS_TIME=1"}
	if got := r.Run(t.Context(), other); !got.Good() {
		t.Errorf("of another subject: %s", got)
	}
	c.Env = []string{"LVS_NAME=mysql1", "LVS_TIME=2"}
	if got := r.Run(t.Context(), c); got.Good() || !strings.Contains(got.String(), fmt.Sprintf("process %d of an earlier run does not end", p.Pid)) {
		t.Errorf("%s", got)
	}
	_ = p.Kill()
	<-one.ended
	if got := r.Run(t.Context(), c); !got.Good() {
		t.Errorf("afterwards: %s", got)
	}
}

// TestUser: a program runs as its user with that user's groups, by default as nobody.
func TestUser(t *testing.T) {
	require.Root(t)
	for _, one := range []struct {
		user   string
		groups []string
		want   string
	}{
		{"", nil, "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)"},
		{"12345", nil, "uid=12345 gid=12345 groups=12345"},
		{"daemon", []string{"bin", "sys"}, "uid=1(daemon) gid=2(bin) groups=2(bin),3(sys)"},
		{"root", nil, "uid=0(root) gid=0(root) groups=0(root)"},
	} {
		if got := do(t, long, Command{Argv: []string{"/usr/bin/id"}, User: one.user, Groups: one.groups}); got.Output != one.want {
			t.Errorf("user %q, groups %q: %s, output %q, want %q", one.user, one.groups, got, got.Output, one.want)
		}
	}
}

// TestPriority: a program does not inherit the priority of the daemon.
func TestPriority(t *testing.T) {
	require.Root(t)
	ended := make(chan Outcome)
	go func() {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, -5) // of this thread, which starts the program
		ended <- do(t, long, Command{Argv: []string{"/bin/sh", "-c", "nice; cat /proc/self/oom_score_adj"}})
	}()
	if got := <-ended; got.Output != "0" {
		t.Errorf("niceness %q, want 0", got.Output)
	}
}

// TestNotAsRoot: what others than root can replace is not run as root, but as another user.
func TestNotAsRoot(t *testing.T) {
	require.Root(t)
	dir := t.TempDir() // in /tmp, where everybody may write
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := do(t, long, Command{Argv: []string{program}, User: "root"})
	if want := "others may write to /tmp"; got.Good() || !strings.Contains(got.Unrunnable, want) {
		t.Errorf("%s, want %q", got, want)
	}
}
