package guest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The guest looks at its clock every 10 ms, and says the longest pause in µs.
const looks = `
echo looking
last=$EPOCHREALTIME longest=0
until read -t 0.01; [ $? -le 128 ]; do
	now=$EPOCHREALTIME
	pause=$((${now/./} - ${last/./}))
	((pause > longest)) && longest=$pause
	last=$now
done
echo $longest`

// TestStandstill: to a guest, a machine that stands still for 300 ms does not. That it would without its clock shows that
// this test sees it.
func TestStandstill(t *testing.T) {
	const still, times = 300 * time.Millisecond, 5
	o := bootOptions(t, "bash", "-c", looks)
	for _, o.machinesClock = range []bool{false, true} {
		longest := lookWhileFrozen(t, o, still, times)
		switch {
		case o.machinesClock && longest < still:
			t.Errorf("without a clock of its own: %s: this test sees nothing", longest)
		case !o.machinesClock && longest > still/2:
			t.Errorf("the guest felt %s, want much less than %s", longest, still)
		}
	}
}

// TestSpeedAndHurry: a guest's work takes it less of its time than of the machine's, and its sleep takes the machine less.
func TestSpeedAndHurry(t *testing.T) {
	o := bootOptions(t)
	const work = "for ((i = 0; i < 100000; i++)); do :; done"
	slow := guestTime(t, o, work)
	o.Speed = 50
	if fast := guestTime(t, o, work); fast > slow/5 {
		t.Errorf("work takes %s, and %s with 50 times the speed", slow, fast)
	}
	const nap = 5 * time.Minute
	o.Hurry = 100
	begun := time.Now()
	slept := guestTime(t, o, "sleep 300")
	if took := time.Since(begun); slept < nap || slept > nap+10*time.Second || took > nap/2 {
		t.Errorf("the guest slept for %s of its time, and %s of the machine's", slept, took)
	}
}

// TestOthersTakeTheCPU: a guest's work takes it as long as its CPU time, however much of the CPU goes to others. That it
// would take it longer without its clock shows that this test sees it.
func TestOthersTakeTheCPU(t *testing.T) {
	long(t)
	o := bootOptions(t)
	// Both kinds of work: of the kernel, and of its processes.
	const processes = "for i in {1..20}; do /bin/true; done; for ((i = 0; i < 20000; i++)); do :; done"
	alone := guestTime(t, o, processes)
	burn(t, 3*runtime.NumCPU())
	beside := guestTime(t, o, processes)
	if beside > 2*alone {
		t.Errorf("work takes the guest %s, and %s beside others, want the same", alone, beside)
	}
	o.machinesClock = true
	if machines := guestTime(t, o, processes); machines < 2*beside {
		t.Errorf("by the machine's clock it takes %s beside others, by the guest's %s: this test sees nothing", machines, beside)
	}
}

// guestTime is how long a script of bash takes by the guest's clock.
func guestTime(t *testing.T, o Options, script string) time.Duration {
	t.Helper()
	o.Command = []string{"bash", "-c", "begun=$EPOCHREALTIME; " + script + "; now=$EPOCHREALTIME; echo $((${now/./} - ${begun/./}))"}
	got := boot(t, o)
	took, err := strconv.Atoi(strings.TrimSpace(got.Stdout))
	if err != nil {
		t.Fatalf("the guest says %q, %q", got.Stdout, got.Stderr)
	}
	return time.Duration(took) * time.Microsecond
}

// burn keeps the machine's CPUs busy with so many processes until the test ends.
func burn(t *testing.T, processes int) {
	t.Helper()
	for range processes {
		c := exec.Command("sh", "-c", "while :; do :; done")
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
	}
}

// lookWhileFrozen is the longest pause that a guest sees while its kernel is stopped some times.
func lookWhileFrozen(t *testing.T, o Options, still time.Duration, times int) time.Duration {
	t.Helper()
	stdin, enough := io.Pipe()
	stdout, toHere := io.Pipe()
	o.Stdin, o.Stdout = stdin, toHere
	ended := make(chan error, 1)
	defer func() {
		stdout.Close()
		enough.Close()
		if err := <-ended; err != nil {
			t.Errorf("Boot: %v", err)
		}
	}()
	go func() {
		_, err := Boot(t.Context(), o)
		toHere.Close()
		ended <- err
	}()
	said := bufio.NewReader(stdout)
	if line, err := said.ReadString('\n'); line != "looking\n" {
		t.Fatalf("the guest says %q, %v", line, err)
	}
	kernel := kernelOf(t, o)
	for range times {
		time.Sleep(50 * time.Millisecond) // it runs
		freeze(t, kernel, still)
	}
	go func() {
		// Again, for bash loses a line that comes as its time is up.
		for err := error(nil); err == nil; time.Sleep(50 * time.Millisecond) {
			_, err = enough.Write([]byte("\n"))
		}
	}()
	line, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	longest, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(longest) * time.Microsecond
}

func freeze(t *testing.T, pid int, d time.Duration) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// kernelOf is the kernel's own process. The guest's processes, which are its children, look like it.
func kernelOf(t *testing.T, o Options) int {
	t.Helper()
	isKernel := func(pid int) bool {
		exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
		return err == nil && exe == o.Tree.Kernel()
	}
	for _, pid := range kernelsOf(t, o.Program) {
		if isKernel(pid) && !isKernel(parentOf(t, pid)) {
			return pid
		}
	}
	t.Fatal("no guest kernel runs")
	return 0
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0 // ended meanwhile
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			parent, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return parent
		}
	}
	return 0
}
