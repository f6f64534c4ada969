package director

import (
	"os"
	"runtime/debug"
	"runtime/metrics"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// process returns the resource usage of this process. It does not stop the world.
func process() *status.Process {
	read := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(read)
	number := func(i int) uint64 {
		if read[i].Value.Kind() != metrics.KindUint64 { // a name that this version of the runtime does not have
			return 0
		}
		return read[i].Value.Uint64()
	}
	return &status.Process{
		PID: os.Getpid(), Goroutines: int(number(0)), HeapBytes: number(1), TotalBytes: number(2), Collected: number(3),
	}
}

const (
	// memoryBase, memoryPerCheck and memoryPerHooked, which is for each virtual server and real server with hooks, in bytes,
	// give the soft memory limit above which the runtime collects garbage more often: without a limit, a thousand checks
	// that time out together leave 10 MB of garbage. The live heap is less than half of the limit, so that the process never
	// spends all its time collecting.
	memoryBase      = 17 << 20
	memoryPerCheck  = 4 << 10
	memoryPerHooked = 2 << 10
	// memoryPerInstance is for a VRRP instance: its record, and as much again for everything else. Without it the live heap of 255
	// instances came near the limit, and the MASTER spent 15 % of a CPU collecting garbage.
	memoryPerInstance = 40 << 10
)

// memoryLimit returns the soft limit for a cluster file, in bytes.
func memoryLimit(cfg *config.Config) int64 {
	checks := len(cfg.Tracks)
	for _, v := range cfg.VirtualServers {
		for _, r := range v.RealServers {
			checks += max(1, len(r.Checks))
		}
	}
	hooked := len(plan.TableOf(cfg, "", plan.Verdicts{}).PoolSubjects())
	return memoryBase + int64(len(cfg.Instances))*memoryPerInstance + int64(checks)*memoryPerCheck + int64(hooked)*memoryPerHooked
}

// limitMemory sets the limit unless the operator has set one.
func limitMemory(cfg *config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(cfg))
	}
}

// keepResident keeps the program in memory. Nothing waits for it, because it may read the program from a slow disk.
func (d *Director) keepResident() {
	go func() {
		if err := d.o.Kernel.KeepResident(); err != nil {
			d.log.Warn("cannot keep the program in memory; adverts may be late when memory is short", "error", err)
		}
	}()
}
