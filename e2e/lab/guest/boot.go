package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	guestHome = "/run/home"
	guestTemp = "/run/tmp"
	guestPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// DefaultMemory is what a guest may use, in MiB. It is taken from the machine only as the guest touches it: the scenarios
	// took 430 at most, two of them at a time. Two guests find room on a machine of 4 GB, whose /dev/shm has half of that.
	DefaultMemory = 1024
	minMemory     = 128

	minStockMemory = 256 // a stock kernel does not start with 200
)

// ErrTimeout is in the chain of Boot's error when Options.Timeout ran out.
var ErrTimeout = errors.New("time limit reached")

// Options says what to run in a guest, and with what.
type Options struct {
	Tree Tree // the unpacked packages, from Cache.Fill
	// Stock is the second kernel, from Cache.FillStock; zero = user-mode-linux.
	Stock Stock
	// CPUs is for Stock alone: how many CPUs the guest has, in real time, emulated where KVM does not run guests. 0 = one
	// CPU whose time is counted in its own instructions and which sleeps in no time (qemu's -icount), so that a command
	// takes the same time on every machine, however busy.
	CPUs int
	// Resident are programs and other files of this machine that a Stock guest has in its memory from the start, beside
	// Command's own. To read any other file of this machine it waits for it, and where its time is counted in instructions
	// takes the time to its next timer, of whatever length, for how long that was.
	Resident []string

	// Program is a program on this machine whose main calls Play first: it becomes
	// the guest's first process, and its guard on the host. It must not be built with
	// the race detector. "" = the running program.
	Program string

	Command []string // program and arguments, at least one
	Dir     string   // working directory; "" = the caller's
	// Env is KEY=VALUE. PATH, HOME, TMPDIR, and LVS_LAB_INSIDE=guest are set for the
	// guest; a PATH given here is appended to the guest's.
	Env []string

	// Out is a host directory that the guest sees, and may write to, at OutDir; its
	// place is in LVS_LAB_OUT. "" = none.
	Out string
	// Writable are host directories that the guest may write to at their own paths.
	Writable []string

	Memory  int           // MiB, 128 or more, with Stock 256; 0 = DefaultMemory
	Timeout time.Duration // from start to power-off; 0 = none but the context's
	// Speed is how many times as fast as this machine's the guest's CPU seems to be to the guest: its time goes by so much
	// more slowly while it works. 0 = 1. It is for machines that give a guest only a part of a CPU.
	Speed int
	// Hurry is how many times as fast the guest's time goes by while it sleeps: for what waits for nobody outside, such as
	// tests. 0 = 1.
	Hurry int
	// machinesClock lets the guest see the machine's time: Speed and Hurry do not matter then. A test shows by it
	// what the guest's own clock is good for.
	machinesClock bool
	bootLimit     time.Duration // to the guest's first word; 0 = defaultBootLimit

	Stdin          io.Reader // nil = empty
	Stdout, Stderr io.Writer // nil = thrown away

	// Interactive gives the command a terminal: Stdin and Stdout are its other end,
	// and Stderr gets nothing.
	Interactive bool
	// Sizes are the terminal's sizes: the first is waited for before the command
	// starts, later ones change it. nil = unknown.
	Sizes <-chan Size
}

// Size is the size of a terminal in characters.
type Size struct{ Rows, Columns uint16 }

// Boot starts a guest, runs the command there, waits for the guest to power off,
// and returns the command's exit code (128+n when signal n ended it).
//
// An error means that there is no exit code: the guest did not boot, the command
// could not be started, or the context or the time limit ended it; every process
// of the guest is gone then, too. A read from Stdin that never comes back outlives
// Boot.
func Boot(ctx context.Context, o Options) (int, error) {
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.Timeout, timeoutCause(o.Timeout))
		defer cancel()
	}
	o, err := o.withDefaults()
	if err != nil {
		return 0, fmt.Errorf("guest: %w", err)
	}
	s, err := o.spec()
	if err != nil {
		return 0, fmt.Errorf("guest: %w", err)
	}
	m, err := o.startMachine(ctx, s)
	if err != nil {
		return 0, fmt.Errorf("guest: start %s: %w", o.kernel(), err)
	}
	defer m.kill()
	code, err := m.converse(ctx, o, s)
	if err != nil {
		return 0, fmt.Errorf("guest: %w", err)
	}
	return code, nil
}

// stock reports whether the guest runs the second kernel.
func (o Options) stock() bool { return o.Stock.Dir != "" }

func (o Options) kernel() string {
	if o.stock() {
		return o.Stock.kernel()
	}
	return o.Tree.Kernel()
}

func (o Options) startMachine(ctx context.Context, s spec) (*machine, error) {
	if o.stock() {
		return startQemu(ctx, o, s)
	}
	return startUML(ctx, o)
}

func timeoutCause(limit time.Duration) error {
	return fmt.Errorf("%w after %v: raise it (labrun -t), or look at the output for what hangs", ErrTimeout, limit)
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Command) == 0 {
		return o, errors.New("no command to run: name a program")
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.CPUs < 0 || o.CPUs > 0 && !o.stock() {
		return o, fmt.Errorf("%d CPUs cannot be had: user-mode-linux has one; the stock kernel has as many as are asked for (labrun -kernel debian -cpus 2)", o.CPUs)
	}
	least := minMemory
	if o.stock() {
		least = minStockMemory
	}
	if o.Memory < least {
		return o, fmt.Errorf("memory of %d MiB is too small: %d or more is needed", o.Memory, least)
	}
	if o.bootLimit == 0 {
		o.bootLimit = defaultBootLimit
	}
	if o.Stdin == nil {
		o.Stdin = strings.NewReader("")
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	var err error
	if o.Program == "" {
		if o.Program, err = os.Executable(); err != nil {
			return o, err
		}
	}
	if o.Program, err = filepath.Abs(o.Program); err != nil {
		return o, err
	}
	if strings.ContainsAny(o.Program, " \"\n") {
		return o, fmt.Errorf("%q cannot be on a kernel command line: move it to a path without spaces", o.Program)
	}
	for _, library := range o.Tree.Preload {
		if strings.ContainsAny(library, ": \n") { // they separate libraries; ld.so would go on without
			return o, fmt.Errorf("%q cannot be laid before a C library: set LVS_LAB_CACHE to a path without spaces and colons", library)
		}
	}
	return o, nil
}

// spec makes every path absolute and existing, because the guest can only say
// less about it.
func (o Options) spec() (spec, error) {
	s := spec{Command: o.Command, Tree: o.Tree.Dir, Stock: o.stock(), Terminal: o.Interactive}
	var err error
	if s.Dir, err = directory(o.Dir); err != nil {
		return s, err
	}
	if o.Out != "" {
		if s.Out, err = directory(o.Out); err != nil {
			return s, err
		}
	}
	for _, d := range o.Writable {
		abs, err := directory(d)
		if err != nil {
			return s, err
		}
		s.Writable = append(s.Writable, abs)
	}
	if s.Stock {
		s.Resident = residentFiles(o)
	}
	s.Env = guestEnv(o.Env, s.Out != "")
	return s, nil
}

func directory(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory", abs)
	}
	return abs, nil
}

// guestEnv is the command's whole environment.
func guestEnv(given []string, out bool) []string {
	path, term := guestPath, "dumb"
	var env []string
	for _, e := range given {
		if v, ok := cutEnv(e, "PATH"); ok {
			path = guestPath + ":" + v
			continue
		}
		if v, ok := cutEnv(e, "TERM"); ok {
			term = v
			continue
		}
		env = append(env, e)
	}
	env = append(env, "PATH="+path, "TERM="+term, "HOME="+guestHome, "TMPDIR="+guestTemp, "LVS_LAB_INSIDE=guest")
	if out {
		env = append(env, "LVS_LAB_OUT="+OutDir)
	}
	return env
}
