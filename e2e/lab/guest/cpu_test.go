package guest

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

func TestCandidates(t *testing.T) {
	every := func(int) bool { return true }
	for _, tt := range []struct {
		name    string
		allowed func(int) bool
		first   int
		want    []int
	}{
		{"one CPU", func(cpu int) bool { return cpu == 0 }, 0, []int{0}},
		{"one of many", func(cpu int) bool { return cpu == 3 }, 3, []int{3}},
		{"not on an allowed CPU any more", func(cpu int) bool { return cpu < 2 }, 5, []int{0, 1}},
		{"two", func(cpu int) bool { return cpu < 2 }, 1, []int{1, 0}},
		{"beyond what unix.CPUSet holds", func(cpu int) bool { return cpu == 1024 || cpu == 5000 || cpu == 7 }, 1024, []int{1024, 5000, 7}},
		{"none", func(int) bool { return false }, 0, nil},
	} {
		if got := candidates(tt.allowed, tt.first); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := len(candidates(every, maxCPUs-1)); got != maxCPUs {
		t.Errorf("%d of %d CPUs", got, maxCPUs)
	}
}

// TestClaim: guests are spread evenly over 1, 2 and 64 CPUs.
func TestClaim(t *testing.T) {
	for _, cpus := range []int{1, 2, 64} {
		prefix := fmt.Sprintf("@lvs-lab-test/%d/%d", os.Getpid(), cpus)
		all := candidates(func(cpu int) bool { return cpu < cpus }, 0)
		guests := make([]int, cpus)
		take := func() net.Listener {
			t.Helper()
			cpu, taken := claim(prefix, all)
			if taken == nil {
				t.Fatalf("%d CPUs: none could be claimed", cpus)
			}
			guests[cpu]++
			t.Cleanup(func() { taken.Close() })
			return taken
		}
		first := take()
		for range 2*cpus - 1 {
			take()
		}
		if slices.Min(guests) != 2 || slices.Max(guests) != 2 {
			t.Errorf("%d guests on %d CPUs: %v", 2*cpus, cpus, guests)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		if cpu, taken := claim(prefix, all); taken == nil || cpu != 0 {
			t.Errorf("%d CPUs: after a guest on CPU 0 ended, CPU %d was claimed", cpus, cpu)
		} else {
			taken.Close()
		}
	}
}

func TestClaimWithoutCPUs(t *testing.T) {
	if _, taken := claim("@lvs-lab-test/none", nil); taken != nil {
		t.Error("claimed a CPU although there is none")
	}
}

// TestOneCPU: two guests run at a time when the caller may use only one CPU, as on a machine that has only one, and all
// their processes stay on it.
func TestOneCPU(t *testing.T) {
	o := bootOptions(t, "sh", "-c", "echo running; read end")
	allowed := unix.NewCPUSet(maxCPUs)
	if err := unix.SchedGetaffinityDynamic(0, allowed); err != nil {
		t.Fatal(err)
	}
	cpu := slices.Max(candidates(allowed.IsSet, 0))
	var g errgroup.Group
	for range 2 {
		g.Go(func() error {
			runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
			only := unix.NewCPUSet(maxCPUs)
			only.Set(cpu)
			if err := unix.SchedSetaffinityDynamic(0, only); err != nil {
				return err
			}
			o := o
			stdin, end := io.Pipe()
			o.Stdin, o.Stderr = stdin, os.Stderr
			o.Stdout = writerFunc(func([]byte) {
				stayOn(t, cpu, kernelsOf(t, o.Program))
				end.Close()
			})
			code, err := Boot(t.Context(), o)
			if err == nil && code != 1 { // exit code of read at EOF
				return fmt.Errorf("exit code %d", code)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// stayOn checks that all processes that still exist are pinned to the CPU.
func stayOn(t *testing.T, cpu int, pids []int) {
	t.Helper()
	for _, pid := range pids {
		set := unix.NewCPUSet(maxCPUs)
		if err := unix.SchedGetaffinityDynamic(pid, set); err != nil {
			continue // has exited meanwhile
		}
		if !set.IsSet(cpu) || set.Count() != 1 {
			t.Errorf("process %d of a guest may run on CPUs %v, want only %d", pid, candidates(set.IsSet, 0), cpu)
		}
	}
}
