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

// watchClock is a script that reads the guest's clock every 10 ms until it gets input, and prints the longest pause in
// µs.
const watchClock = `
echo watching
last=$EPOCHREALTIME longest=0
until read -t 0.01; [ $? -le 128 ]; do
	now=$EPOCHREALTIME
	pause=$((${now/./} - ${last/./}))
	((pause > longest)) && longest=$pause
	last=$now
done
echo $longest`

// TestMachineStall: a guest's clock does not show a stall of 300 ms of the machine. Without that clock it does, which
// shows that the test detects it.
func TestMachineStall(t *testing.T) {
	skipShort(t)
	const stall, times = 300 * time.Millisecond, 5
	o := bootOptions(t, "bash", "-c", watchClock)
	for _, o.hostClock = range []bool{false, true} {
		longest := longestPause(t, o, stall, times)
		switch {
		case o.hostClock && longest < stall:
			t.Errorf("with the machine's clock the longest pause was %s: this test cannot detect a stall", longest)
		case !o.hostClock && longest > stall/2:
			t.Errorf("the guest's longest pause was %s, want much less than %s", longest, stall)
		}
	}
}

// TestSpeedAndHurry: with Speed, work takes less guest time; with Hurry, sleep takes less of the machine's time.
func TestSpeedAndHurry(t *testing.T) {
	o := bootOptions(t)
	const work = "for ((i = 0; i < 100000; i++)); do :; done"
	slow := guestTime(t, o, work)
	o.Speed = 50
	if fast := guestTime(t, o, work); fast > slow/5 {
		t.Errorf("work takes %s of guest time, and %s with 50 times the speed", slow, fast)
	}
	const nap = 5 * time.Minute
	o.Hurry = 100
	begun := time.Now()
	slept := guestTime(t, o, "sleep 300")
	if took := time.Since(begun); slept < nap || slept > nap+10*time.Second || took > nap/2 {
		t.Errorf("the guest slept for %s of guest time, which took %s of the machine's", slept, took)
	}
}

// TestOthersTakeTheCPU: work takes a guest as much guest time as CPU time, however much of the CPU other processes get.
// With the machine's clock it takes longer, which shows that the test detects it.
func TestOthersTakeTheCPU(t *testing.T) {
	skipShort(t)
	o := bootOptions(t)
	// Work of the kernel and of processes.
	const processes = "for i in {1..20}; do /bin/true; done; for ((i = 0; i < 20000; i++)); do :; done"
	alone := guestTime(t, o, processes)
	burn(t, 3*runtime.NumCPU())
	beside := guestTime(t, o, processes)
	if beside > 2*alone {
		t.Errorf("work takes %s of guest time alone, and %s beside busy processes, want the same", alone, beside)
	}
	o.hostClock = true
	if machines := guestTime(t, o, processes); machines < 2*beside {
		t.Errorf("beside busy processes work takes %s by the machine's clock and %s by the guest's: this test cannot detect the difference", machines, beside)
	}
}

// guestTime returns how long a bash script takes by the guest's clock.
func guestTime(t *testing.T, o Options, script string) time.Duration {
	t.Helper()
	o.Command = []string{"bash", "-c", "begun=$EPOCHREALTIME; " + script + "; now=$EPOCHREALTIME; echo $((${now/./} - ${begun/./}))"}
	got := boot(t, o)
	took, err := strconv.Atoi(strings.TrimSpace(got.Stdout))
	if err != nil {
		t.Fatalf("the guest printed %q, %q", got.Stdout, got.Stderr)
	}
	return time.Duration(took) * time.Microsecond
}

// burn keeps the machine's CPUs busy with this many processes until the test ends.
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

// longestPause runs watchClock in a guest whose kernel is stopped several times, and returns the longest pause that it
// reports.
func longestPause(t *testing.T, o Options, stall time.Duration, times int) time.Duration {
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
	output := bufio.NewReader(stdout)
	if line, err := output.ReadString('\n'); line != "watching\n" {
		t.Fatalf("the guest printed %q, %v", line, err)
	}
	kernel := kernelOf(t, o)
	for range times {
		time.Sleep(50 * time.Millisecond) // let it run
		freeze(t, kernel, stall)
	}
	go func() {
		// Repeatedly, because bash loses a line that arrives when the timeout of its read expires.
		for err := error(nil); err == nil; time.Sleep(50 * time.Millisecond) {
			_, err = enough.Write([]byte("\n"))
		}
	}()
	line, err := output.ReadString('\n')
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

// kernelOf returns the process of the kernel itself. The processes that run the guest's processes are its children and
// look the same.
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
	t.Fatal("no guest kernel is running")
	return 0
}

func parentOf(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0 // has exited meanwhile
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
