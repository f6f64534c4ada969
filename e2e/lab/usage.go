package lab

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// A Usage is the resource usage of a process, from /proc.
type Usage struct {
	At                time.Time
	CPU               time.Duration // user and system time, in steps of 10 ms
	Resident          int           // VmRSS, in bytes
	Peak              int           // VmHWM, in bytes
	Files             int           // open descriptors
	Threads           int
	VoluntarySwitches int // voluntary context switches of the threads that exist now
}

// Usage reads /proc/PID.
func (d *Daemon) Usage() Usage {
	d.host.n.t.Helper()
	u, err := usageOf(d.PID())
	if err != nil {
		d.host.n.t.Fatalf("lab: %s: %v", d, err)
	}
	return u
}

func usageOf(pid int) (u Usage, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	files, err := os.ReadDir(dir + "fd")
	if err != nil {
		return u, err
	}
	text, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	u.At, u.Files = time.Now(), len(files)
	u.Resident, u.Peak, u.Threads = statusField(text, "VmRSS")<<10, statusField(text, "VmHWM")<<10, statusField(text, "Threads")
	u.CPU = cpuOf(stat)
	u.VoluntarySwitches, err = waitsOf(dir + "task/")
	return u, err
}

// waitsOf sums voluntary_ctxt_switches, which the kernel counts per thread (proc(5)).
func waitsOf(tasks string) (waits int, err error) {
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		if text, err := os.ReadFile(tasks + thread.Name() + "/status"); err == nil { // otherwise the thread has ended meanwhile
			waits += statusField(text, "voluntary_ctxt_switches")
		}
	}
	return waits, nil
}

// userHertz is the unit of CPU times in /proc/PID/stat on every architecture that we support (USER_HZ, proc(5)).
const userHertz = 100

// cpuOf reads utime and stime, fields 14 and 15 of /proc/PID/stat.
func cpuOf(stat []byte) time.Duration {
	// The second field, the name in parentheses, may contain blanks.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, _ := strconv.Atoi(string(field))
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHertz
}

// statusField returns one number from /proc/PID/status, 0 if it is missing.
func statusField(text []byte, name string) int {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			n, _ := strconv.Atoi(string(bytes.Fields(value)[0]))
			return n
		}
	}
	return 0
}
