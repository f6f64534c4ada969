package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// startQemu starts a guest with a Stock kernel.
func startQemu(ctx context.Context, o Options, s spec) (*machine, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	env, err := o.Stock.qemuEnv()
	if err != nil {
		return nil, err
	}
	args, err := qemuArgs(ctx, o, s)
	if err != nil {
		return nil, err
	}
	initramfs, err := newInitramfs(o.Program, o.Stock, s.Resident)
	if err != nil {
		return nil, err
	}
	defer initramfs.Close()
	toGuest, events, guest, err1 := socketPair()
	spare, err2 := os.Open(os.DevNull) // the socket carries both directions
	lifelineEnd, lifeline, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	m := &machine{
		lifeline: lifeline, toGuest: toGuest, events: events,
		console: &tail{limit: 16 << 10}, exited: make(chan struct{}),
	}
	m.guard = exec.Command(o.Program, args...)
	m.guard.Env = append(env, guardMarker+"="+guardAnyCPU)
	return m, m.start(guest, spare, lifelineEnd, initramfs)
}

// qemu returns the emulator's command line with the arguments that every guest has.
func (s Stock) qemu() []string {
	usr := filepath.Join(s.emulator().Dir, "usr")
	return []string{
		filepath.Join(usr, "bin/qemu-system-x86_64"),
		"-L", filepath.Join(usr, "share/qemu"), "-L", filepath.Join(usr, "share/seabios"),
		"-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", s.kernel(), "-serial", "stdio",
	}
}

// qemuEnv returns the emulator's environment.
func (s Stock) qemuEnv() ([]string, error) {
	env, err := s.emulator().hostEnv()
	return append(env, "QEMU_MODULE_DIR="+filepath.Join(s.emulator().Dir, "usr/lib/x86_64-linux-gnu/qemu")), err
}

// qemuArgs returns the emulator's whole command line.
func qemuArgs(ctx context.Context, o Options, s spec) ([]string, error) {
	image, err := os.Stat(o.Stock.image())
	if err != nil {
		return nil, err
	}
	cpu, kernelArgs := o.processor(ctx)
	args := append(o.Stock.qemu(),
		"-name", option(o.Program), // identifies the guest in a process list
		"-m", fmt.Sprintf("%dM,slots=1,maxmem=%dM", o.Memory, int64(o.Memory)+image.Size()>>20+1024),
		"-initrd", fmt.Sprintf("/proc/self/fd/%d", fdInitramfs),
		"-append", stockKernelArgs+kernelArgs,
		// The first slot, so that the port is vport0p1. With ioeventfd off, the CPU thread itself handles what the
		// guest sends before the guest continues.
		"-device", "virtio-serial-pci,ioeventfd=off,addr=0x2",
		"-chardev", fmt.Sprintf("socket,id=frames,fd=%d", fdFromHost), "-device", "virtserialport,chardev=frames,nr=1",
		"-object", fmt.Sprintf("memory-backend-file,id=image,mem-path=%s,size=%d,share=off,readonly=on", option(o.Stock.image()), image.Size()),
		"-device", "virtio-pmem-pci,memdev=image",
	)
	args = append(args, share9p(tagMachine, "/", true)...)
	for i, w := range writable(s) {
		args = append(args, share9p(writableTag(i), w.source, false)...)
	}
	return append(args, cpu...), nil
}

// processor returns how the guest's instructions are executed, and the kernel arguments for that.
func (o Options) processor(ctx context.Context) (args []string, kernelArgs string) {
	// Emulated string instructions are slow, one byte or word at a time (clear_page, memset).
	const emulated, noStrings = "max,-erms,-fsrm", " no_timer_check clearcpuid=rep_good"
	if o.CPUs == 0 && !o.Interactive {
		// 2 ns for each instruction, and idle time until the next timer is skipped (qemu's docs/devel/tcg-icount.rst).
		// All machines of a scenario share this CPU: with 4 ns, two directors that took over 64 instances each kept it busy,
		// and ksoftirqd, which delivers packets, did not run for seconds. shift=auto would follow the machine's speed instead.
		// The clock rates are known, so the kernel need not measure them.
		return []string{"-cpu", emulated, "-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off", "-rtc", "clock=vm"},
			noStrings + " noapictimer tsc=reliable tsc_early_khz=1000000 lpj=4000000"
	}
	// Real time, also for a person at a terminal: no time is skipped.
	smp := []string{"-smp", strconv.Itoa(max(o.CPUs, 1))}
	if o.Stock.kvmRuns(ctx) {
		return append(smp, "-cpu", "host", "-accel", "kvm"), ""
	}
	return append(smp, "-cpu", emulated, "-accel", "tcg,thread=multi"), noStrings
}

// stockKernelArgs are the kernel arguments for every processor. The blacklisted initcalls (hpet_init is that of
// /dev/hpet) and write protection of the kernel's code are slow under emulation and not needed in a lab. rcu_expedited
// makes the removal of network namespaces fast.
const stockKernelArgs = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off random.trust_cpu=on " +
	"rcupdate.rcu_expedited=1 initcall_blacklist=hpet_init,load_system_certificate_list,init_kprobe_trace rodata=off " +
	initMarker + "=1 " + lineMarker + "=/dev/vport0p1"

// share9p shares a directory of the host with the guest under a mount tag.
func share9p(tag, dir string, readonly bool) []string {
	access := "off"
	if readonly {
		access = "on"
	}
	return []string{
		"-fsdev", fmt.Sprintf("local,id=%s,path=%s,security_model=none,multidevs=remap,readonly=%s", tag, option(dir), access),
		"-device", fmt.Sprintf("virtio-9p-pci,fsdev=%[1]s,mount_tag=%[1]s", tag),
	}
}

// option escapes a value for qemu's option syntax.
func option(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// residentFiles returns the files that the guest is to hold in memory: the command's program and Options.Resident, as
// far as they exist and do not come from the packages.
func residentFiles(o Options) []string {
	var files []string
	if path, err := lookPath(o.Command[0], o.Dir, nil); err == nil {
		files = append(files, path)
	}
	files = append(files, o.Resident...)
	var existing []string
	for _, f := range files {
		path, err := filepath.EvalSymlinks(f)
		if err != nil || packaged(strings.Split(path, "/")[1]) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			existing = append(existing, path)
		}
	}
	return existing
}

// socketPair returns two connected sockets. The runner's end is duplicated, because the runner closes the files for
// reading and writing independently.
func socketPair() (write, read, guest *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	again, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	// Otherwise Close would not unblock a pending Read.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "frames to the guest"), os.NewFile(uintptr(again), "frames from the guest"),
		os.NewFile(uintptr(fds[1]), "the guest's end"), nil
}
