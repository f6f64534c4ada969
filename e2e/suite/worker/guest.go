package worker

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// state is what a job could leave behind in a guest.
type state struct {
	processes map[int]string // command lines by process id
	mounts    map[string]int // number of mounts by mount point; named network namespaces are mounts, too
	modules   map[string]bool
}

func inspect() (state, error) {
	processes, err := processes()
	if err != nil {
		return state{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return state{}, err
	}
	modules, err := os.ReadFile("/proc/modules")
	if err != nil && !os.IsNotExist(err) { // a kernel without module support has no such file
		return state{}, err
	}
	return state{processes, parseMounts(string(mounts)), parseModules(string(modules))}, nil
}

// leftSince describes what is left behind since before, after waiting for processes that are about to exit. A removed
// module counts, too, unless the job is exclusive, because the next job may need it.
func (w worker) leftSince(before state, exclusive bool) ([]string, error) {
	if exclusive {
		before.modules = nil
	}
	for deadline := time.Now().Add(w.grace); ; time.Sleep(20 * time.Millisecond) {
		now, err := w.inspect()
		if err != nil {
			return nil, err
		}
		if left := difference(before, now); len(left) == 0 || time.Now().After(deadline) {
			return left, nil
		}
	}
}

func difference(before, now state) (left []string) {
	for pid, command := range now.processes {
		if _, was := before.processes[pid]; !was {
			left = append(left, fmt.Sprintf("process %d (%s)", pid, command))
		}
	}
	for path, n := range now.mounts {
		if n > before.mounts[path] {
			left = append(left, "mount "+path)
		}
	}
	for module := range before.modules {
		if !now.modules[module] {
			left = append(left, "removed module "+module)
		}
	}
	slices.Sort(left)
	return left
}

// processes returns the processes that run programs, except this one and zombies.
func processes() (map[int]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := make(map[int]string)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil || !program(string(stat)) {
			continue // it has exited meanwhile, or is a kernel thread
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		found[pid] = string(bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	return found, nil
}

// program reports, from proc_pid_stat(5), whether the process runs a program and has not exited. A usermode driver of
// the kernel (bpfilter_umh, kernel/usermode_driver.c) does not count, because no job started it.
func program(stat string) bool {
	const kernelThread, kthreadd = 0x00200000, "2" // PF_KTHREAD, include/linux/sched.h
	_, rest, ok := strings.Cut(stat[strings.LastIndex(stat, ")")+1:], " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	return err == nil && flags&kernelThread == 0 && fields[1] != kthreadd && !strings.Contains("ZXx", fields[0])
}

// parseMounts counts the mounts in proc_pid_mountinfo(5) by mount point.
func parseMounts(mountinfo string) map[string]int {
	mounts := make(map[string]int)
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 {
			mounts[fields[4]]++
		}
	}
	return mounts
}

// parseModules returns the modules in proc_modules(5).
func parseModules(modules string) map[string]bool {
	found := make(map[string]bool)
	for line := range strings.Lines(modules) {
		name, _, _ := strings.Cut(line, " ")
		found[name] = true
	}
	return found
}
