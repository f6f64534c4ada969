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

	// DefaultMemory is the memory of a guest in MiB. It is allocated on the machine only as the guest touches it: the
	// scenarios used at most 430 MiB, with two running at a time. Two guests fit on a machine with 4 GB, half of which
	// is available in /dev/shm.
	DefaultMemory = 1024
	minMemory     = 128

	minStockMemory = 256 // a stock kernel does not boot with 200
)

// ErrTimeout is wrapped by the error of Boot when Options.Timeout has expired.
var ErrTimeout = errors.New("time limit reached")

// Options describes a guest and the command to run in it.
type Options struct {
	Tree Tree // the unpacked packages, from Cache.Fill
	// Stock is the second kernel, from Cache.FillStock; zero = user-mode-linux.
	Stock Stock
	// CPUs is the number of CPUs of a Stock guest, which then runs in real time, emulated if KVM does not work here. 0
	// = one CPU whose clock counts its instructions and skips idle time (qemu's -icount), so that a command takes the
	// same guest time on every machine under any load. Must be 0 for user-mode-linux.
	CPUs int
	// Resident are programs and other files of this machine that a Stock guest has in memory from the start, in
	// addition to Command's program. To read any other file of this machine, the guest waits for the machine. If its
	// clock counts instructions, it then jumps to the guest's next timer, however far ahead that is.
	Resident []string

	// Program is a program on this machine whose main calls Play first. It is run as the guest's first process and as
	// its guard on the host. It must not be built with the race detector. "" = the running program.
	Program string

	Command []string // program and arguments, at least one
	Dir     string   // working directory; "" = the caller's
	// Env has entries KEY=VALUE. PATH, HOME, TMPDIR, and LVS_LAB_INSIDE=guest are set for the guest; a PATH given here
	// is appended to the guest's.
	Env []string

	// Out is a host directory that is mounted writable at OutDir in the guest, which LVS_LAB_OUT there names. "" =
	// none.
	Out string
	// Writable are host directories that the guest may write to at their own paths.
	Writable []string

	Memory  int           // MiB, 128 or more, with Stock 256; 0 = DefaultMemory
	Timeout time.Duration // from start to power-off; 0 = only the context's deadline
	// Speed is the factor by which the guest's CPU appears faster to the guest than it is: guest time passes that much
	// more slowly while the guest works. It is for machines that give a guest only part of a CPU. 0 = 1.
	// User-mode-linux only.
	Speed int
	// Hurry is the factor by which guest time passes faster while the guest sleeps. It is for commands that wait for
	// nothing outside the guest, such as tests. 0 = 1. User-mode-linux only.
	Hurry int
	// hostClock gives the guest the machine's clock; Speed and Hurry are then ignored. Tests use it to show the
	// difference that the guest's own clock makes.
	hostClock bool
	bootLimit time.Duration // to the guest's first frame; 0 = defaultBootLimit, or stockBootLimit with Stock

	Stdin          io.Reader // nil = empty
	Stdout, Stderr io.Writer // nil = discarded

	// Interactive runs the command on a terminal, to which Stdin and Stdout are connected. Nothing is written to Stderr
	// then.
	Interactive bool
	// Sizes delivers the terminal's size: the first before the command starts, which Boot waits for, then every change.
	// nil = unknown.
	Sizes <-chan Size
}

// Size is the size of a terminal in characters.
type Size struct{ Rows, Columns uint16 }

// Boot starts a guest, runs the command there, waits for the guest to power off, and returns the command's exit code
// (128+n if signal n ended it).
//
// An error means that there is no exit code: the guest did not boot, the command could not be started, or the context
// or the time limit ended it. In that case, too, every process of the guest is gone. A goroutine that is blocked
// reading Stdin outlives Boot.
func Boot(ctx context.Context, o Options) (int, error) {
	ctx, cancel := o.limit(ctx)
	defer cancel()
	o, s, err := o.complete()
	if err != nil {
		return 0, fmt.Errorf("guest: %w", err)
	}
	m, err := o.startMachine(ctx, s)
	if err != nil {
		return 0, fmt.Errorf("guest: start %s: %w", o.kernel(), err)
	}
	defer m.kill()
	code, err := m.serve(ctx, o, s)
	if err != nil {
		return 0, fmt.Errorf("guest: %w", err)
	}
	return code, nil
}

// limit returns a context that ends at the time limit, if there is one.
func (o Options) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, o.Timeout, timeoutCause(o.Timeout))
}

// complete returns the options with their defaults, and what follows from them.
func (o Options) complete() (Options, spec, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Options{}, spec{}, err
	}
	s, err := o.spec()
	return o, s, err
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
	return fmt.Errorf("%w after %v: raise it (labrun -t), or check the output for what hangs", ErrTimeout, limit)
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Command) == 0 {
		return o, errors.New("no command to run: name a program")
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.CPUs < 0 || o.CPUs > 0 && !o.stock() {
		return o, fmt.Errorf("%d CPUs are not possible: user-mode-linux has one; the stock kernel can have several (labrun -kernel debian -cpus 2)", o.CPUs)
	}
	least := minMemory
	if o.stock() {
		least = minStockMemory
	}
	if o.Memory < least {
		return o, fmt.Errorf("memory of %d MiB is too small: the minimum is %d", o.Memory, least)
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
		if strings.ContainsAny(library, ": \n") { // these separate libraries in LD_PRELOAD; ld.so would only warn
			return o, fmt.Errorf("%q cannot be preloaded: set LVS_LAB_CACHE to a path without spaces and colons", library)
		}
	}
	return o, nil
}

// spec makes every path absolute and checks that it exists, because an error of the guest would say less.
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

// guestEnv returns the command's whole environment.
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
