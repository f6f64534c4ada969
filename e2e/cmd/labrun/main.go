// Command labrun runs a command on a kernel with IPVS: in a guest, or, if the machine's own kernel has IPVS and the
// caller is root, in new namespaces on the machine.
//
//	labrun [-t 8m] [-mem MiB] [-out DIR] [--] command [argument …]
//	labrun -kernel debian [-cpus N] [-t 8m] [-mem MiB] [-out DIR] [--] command [argument …]
//	labrun -shell
//	labrun -it [--] command [argument …]
//	labrun -fetch
//	labrun test [-short] [-run expression] [-guests n] binary[=directory] …
//	go test -exec "$(pwd)/bin/labrun" ./e2e/...
//
// LVS_LAB=guest or LVS_LAB=host overrides the choice. LVS_LAB_CACHE is the directory of the package cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
	"github.com/lvs-director/lvs-director/e2e/suite"
	"github.com/lvs-director/lvs-director/e2e/suite/worker"
)

func main() {
	if guest.Play() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "labrun:", err)
		code = 125 // like env(1) and timeout(1): labrun itself failed, not the command
	}
	os.Exit(code)
}

// flags are the command-line flags.
type flags struct {
	fetch    bool
	kernel   string
	cpus     int
	terminal bool // run the command on the caller's terminal
	memory   int
	speed    int
	hurry    int
	timeout  time.Duration
	out      string
	command  []string
}

func parse(args []string, usage io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("labrun", flag.ContinueOnError)
	set.SetOutput(usage)
	set.BoolVar(&f.fetch, "fetch", false, "only fill the cache")
	shell := set.Bool("shell", false, "run a shell in a guest, on this terminal")
	set.BoolVar(&f.terminal, "it", false, "run the command in a guest, on this terminal")
	set.StringVar(&f.kernel, "kernel", "uml", "the guest's `kernel`: uml, or debian for the stock kernel under qemu")
	set.IntVar(&f.cpus, "cpus", 0, "`number` of CPUs of the stock kernel, in real time; 0 = one CPU whose clock counts its instructions")
	set.IntVar(&f.memory, "mem", guest.DefaultMemory, "guest memory in `MiB`")
	set.IntVar(&f.speed, "speed", 1, "make the guest's CPU appear `N` times as fast to the guest")
	set.IntVar(&f.hurry, "hurry", 1, "make guest time pass `N` times as fast while the guest sleeps")
	set.DurationVar(&f.timeout, "t", 8*time.Minute, "time `limit`; 0 = none. For a test binary with -test.timeout, the default is 30s more than that")
	set.StringVar(&f.out, "out", os.Getenv("LVS_LAB_OUT"), "`directory` that the command may write to; it finds it as $LVS_LAB_OUT")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if f.kernel != "uml" && f.kernel != "debian" {
		return f, fmt.Errorf("unknown -kernel %s: use uml or debian", f.kernel)
	}
	f.command = set.Args()
	given := make(map[string]bool)
	set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if *shell {
		f.terminal = true
		if len(f.command) == 0 {
			f.command = []string{"/bin/bash", "--norc"}
		}
	}
	if len(f.command) == 0 {
		if !f.fetch {
			return f, errors.New("no command: name one, or use -shell or -fetch")
		}
		return f, nil
	}
	if !given["t"] {
		f.timeout = defaultLimit(f)
	}
	return f, nil
}

// defaultLimit returns a limit at which a test binary has already reported its own timeout with all goroutines. On a
// terminal there is no limit.
func defaultLimit(f flags) time.Duration {
	if f.terminal {
		return 0
	}
	for _, arg := range f.command[1:] {
		value, ok := strings.CutPrefix(arg, "-test.timeout=")
		if !ok {
			continue
		}
		if d, err := time.ParseDuration(value); err == nil && d > 0 {
			return d + 30*time.Second
		} else if err == nil {
			return 0
		}
	}
	return f.timeout
}

func run(ctx context.Context, args []string) (int, error) {
	switch {
	case len(args) > 0 && args[0] == "test":
		return runTests(ctx, args[1:])
	case len(args) == 1 && args[0] == "-worker": // started by runTests in a guest
		return 0, worker.Run(os.Stdin, os.Stdout)
	}
	f, err := parse(args, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	onHost, err := chooseHost(os.Getenv("LVS_LAB"), f.terminal || f.kernel != "uml")
	if err != nil {
		return 0, err
	}
	cache, err := guest.DefaultCache()
	if err != nil {
		return 0, err
	}
	var tree guest.Tree
	var stock guest.Stock
	if f.kernel == "debian" {
		stock, err = cache.FillStock(ctx, os.Stderr)
	} else {
		tree, err = cache.Fill(ctx, os.Stderr)
	}
	if err != nil || f.fetch {
		return 0, err
	}
	o := guest.Options{
		Tree: tree, Stock: stock, CPUs: f.cpus, Resident: programs(), Command: f.command, Env: passed(os.Environ()),
		Out: f.out, Writable: resultDirs(f.command[1:]),
		Memory: f.memory, Speed: f.speed, Hurry: f.hurry, Timeout: f.timeout,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if f.out != "" {
		if err := os.MkdirAll(f.out, 0o755); err != nil {
			return 0, err
		}
	}
	switch {
	case f.terminal:
		return onTerminal(ctx, o)
	case onHost:
		return guest.RunHost(ctx, o)
	}
	return guest.Boot(ctx, o)
}

// chooseHost reports whether the command runs on the machine's own kernel. With terminal set (-it, -shell, or another
// kernel) it always runs in a guest.
func chooseHost(choice string, terminal bool) (bool, error) {
	switch choice {
	case "":
		return guest.HostHasIPVS() && !terminal, nil
	case "host":
		return !terminal, nil
	case "guest":
		return false, nil
	}
	return false, fmt.Errorf("LVS_LAB=%q: use guest or host, or leave it unset", choice)
}

// programs returns the paths of the product's programs, which make builds in labrun's directory.
func programs() []string {
	self, err := os.Executable()
	if err != nil {
		return nil
	}
	var paths []string
	for _, name := range []string{"lvs-director", "lvs-realserver", "lvsctl"} {
		paths = append(paths, filepath.Join(filepath.Dir(self), name))
	}
	return paths
}

// passed returns the part of the caller's environment that is meant for the command. The rest describes a machine that
// the command does not run on.
func passed(environ []string) []string {
	var kept []string
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "CI", "PATH", "TERM", "TZ", "LANG", "NO_COLOR", "GODEBUG", "GOTRACEBACK", "GOMAXPROCS", "GOCOVERDIR":
			kept = append(kept, e)
		case "LVS_LAB", "LVS_LAB_OUT", "LVS_LAB_INSIDE", suite.PlanVariable:
		default:
			if strings.HasPrefix(name, "LVS_") {
				kept = append(kept, e)
			}
		}
	}
	return kept
}

// resultDirs returns the directories to which go test writes profiles.
func resultDirs(args []string) []string {
	var dirs []string
	for _, arg := range args {
		name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !ok || value == "" {
			continue
		}
		switch name {
		case "test.coverprofile", "test.cpuprofile", "test.memprofile", "test.blockprofile", "test.mutexprofile", "test.trace":
			dirs = append(dirs, filepath.Dir(value))
		case "test.gocoverdir", "test.outputdir":
			dirs = append(dirs, value)
		}
	}
	return dirs
}
