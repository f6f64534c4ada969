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

// state is what a guest has that outlives a job.
type state struct {
	processes map[int]string // command by process
	mounts    map[string]int // how many by place; network namespaces with a name are mounts, too
	modules   map[string]bool
}

func look() (state, error) {
	processes, err := processes()
	if err != nil {
		return state{}, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return state{}, err
	}
	modules, err := os.ReadFile("/proc/modules")
	if err != nil && !os.IsNotExist(err) { // a kernel without modules has none
		return state{}, err
	}
	return state{processes, parseMounts(string(mounts)), parseModules(string(modules))}, nil
}

// leftSince waits for processes that are about to end, and describes what there is more than before. A module that is
// gone counts, too, unless the job may spoil the guest: the next one may need it.
func (w worker) leftSince(before state, spoils bool) ([]string, error) {
	if spoils {
		before.modules = nil
	}
	for deadline := time.Now().Add(w.patience); ; time.Sleep(20 * time.Millisecond) {
		now, err := w.look()
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
	for place, n := range now.mounts {
		if n > before.mounts[place] {
			left = append(left, "mount "+place)
		}
	}
	for module := range before.modules {
		if !now.modules[module] {
			left = append(left, "no module "+module)
		}
	}
	slices.Sort(left)
	return left
}

// processes are those of programs, but this one. What has ended and waits to be collected is none.
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
			continue // it has ended meanwhile, or is the kernel's
		}
		line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		found[pid] = string(bytes.TrimSpace(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	return found, nil
}

// program reads proc_pid_stat(5): whether the process runs a program and has not ended. A program that the kernel itself
// keeps (bpfilter_umh, kernel/usermode_driver.c) is none that a job has left.
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

// parseMounts counts the mounts of proc_pid_mountinfo(5) by their place.
func parseMounts(mountinfo string) map[string]int {
	mounts := make(map[string]int)
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 {
			mounts[fields[4]]++
		}
	}
	return mounts
}

// parseModules lists the modules of proc_modules(5).
func parseModules(modules string) map[string]bool {
	found := make(map[string]bool)
	for line := range strings.Lines(modules) {
		name, _, _ := strings.Cut(line, " ")
		found[name] = true
	}
	return found
}
