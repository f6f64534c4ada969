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

// startQemu starts a machine with a Stock kernel.
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
	leashEnd, leash, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	m := &machine{
		leash: leash, toGuest: toGuest, events: events,
		console: &tail{limit: 16 << 10}, exited: make(chan struct{}),
	}
	m.guard = exec.Command(o.Program, args...)
	m.guard.Env = append(env, guardMarker+"="+guardAnyCPU)
	return m, m.start(guest, spare, leashEnd, initramfs)
}

// qemu is the emulator with the arguments that every machine has.
func (s Stock) qemu() []string {
	usr := filepath.Join(s.emulator().Dir, "usr")
	return []string{
		filepath.Join(usr, "bin/qemu-system-x86_64"),
		"-L", filepath.Join(usr, "share/qemu"), "-L", filepath.Join(usr, "share/seabios"),
		"-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", s.kernel(), "-serial", "stdio",
	}
}

// qemuEnv is the emulator's environment.
func (s Stock) qemuEnv() ([]string, error) {
	env, err := s.emulator().hostEnv()
	return append(env, "QEMU_MODULE_DIR="+filepath.Join(s.emulator().Dir, "usr/lib/x86_64-linux-gnu/qemu")), err
}

// qemuArgs is the emulator with its arguments.
func qemuArgs(ctx context.Context, o Options, s spec) ([]string, error) {
	image, err := os.Stat(o.Stock.image())
	if err != nil {
		return nil, err
	}
	cpu, kernelArgs := o.processor(ctx)
	args := append(o.Stock.qemu(),
		"-name", option(o.Program), // tells whose it is
		"-m", fmt.Sprintf("%dM,slots=1,maxmem=%dM", o.Memory, int64(o.Memory)+image.Size()>>20+1024),
		"-initrd", fmt.Sprintf("/proc/self/fd/%d", fdInitramfs),
		"-append", stockKernelArgs+kernelArgs,
		// The first slot, so that the port is the first of the first virtio device. Its own thread handles what the guest
		// sends before the guest goes on (ioeventfd).
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

// processor is how the guest's instructions are run, and what its kernel is told about that.
func (o Options) processor(ctx context.Context) (args []string, kernelArgs string) {
	// String instructions are slow where they are emulated: one byte or word at a time (clear_page, memset).
	const emulated, noStrings = "max,-erms,-fsrm", " no_timer_check clearcpuid=rep_good"
	if o.CPUs == 0 && !o.Interactive {
		// One nanosecond for each instruction, and the time to the next timer in none (qemu's docs/devel/tcg-icount.rst). A
		// shift=auto follows the machine's speed instead. The clocks are known then and need no measuring.
		return []string{"-cpu", emulated, "-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off", "-rtc", "clock=vm"},
			noStrings + " noapictimer tsc=reliable tsc_early_khz=1000000 lpj=4000000"
	}
	// A person at a terminal is waited for: no time is skipped.
	smp := []string{"-smp", strconv.Itoa(max(o.CPUs, 1))}
	if o.Stock.kvmRuns(ctx) {
		return append(smp, "-cpu", "host", "-accel", "kvm"), ""
	}
	return append(smp, "-cpu", emulated, "-accel", "tcg,thread=multi"), noStrings
}

// stockKernelArgs are for every processor. What is left out of the kernel by name takes long under emulation, and nothing in
// a lab needs it: /dev/hpet, and write protection of the kernel's code. rcu_expedited makes network namespaces end soon.
const stockKernelArgs = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off random.trust_cpu=on " +
	"rcupdate.rcu_expedited=1 initcall_blacklist=hpet_init,load_system_certificate_list,init_kprobe_trace rodata=off " +
	initMarker + "=1 " + lineMarker + "=/dev/vport0p1"

// share9p gives the guest a directory of the host under a tag.
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

// option writes a value as qemu's options have it.
func option(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// residentFiles are what the guest holds in memory, of files that are there.
func residentFiles(o Options) []string {
	var files []string
	if path, err := lookPath(o.Command[0], o.Dir, nil); err == nil {
		files = append(files, path)
	}
	files = append(files, o.Resident...)
	var there []string
	for _, f := range files {
		path, err := filepath.EvalSymlinks(f)
		if err != nil || packaged(strings.Split(path, "/")[1]) {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			there = append(there, path)
		}
	}
	return there
}

// socketPair makes two connected sockets. The runner's comes twice, because it reads and writes files that it closes
// independently.
func socketPair() (write, read, guest *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	again, err := unix.FcntlInt(uintptr(fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	// Only then a Close ends a Read that is on its way.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "frames to the guest"), os.NewFile(uintptr(again), "frames from the guest"),
		os.NewFile(uintptr(fds[1]), "the guest's end"), nil
}
