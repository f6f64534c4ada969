package main

import (
	"os"
	"strconv"
	"strings"
)

// memoryAvailable returns the available memory of this machine, or of the container, in MiB.
func memoryAvailable() int {
	available := meminfo(read("/proc/meminfo"))
	limit, err := strconv.ParseInt(strings.TrimSpace(read("/sys/fs/cgroup/memory.max")), 10, 64)
	if err != nil { // "max", or no cgroup
		return available
	}
	used, err := strconv.ParseInt(strings.TrimSpace(read("/sys/fs/cgroup/memory.current")), 10, 64)
	if err != nil {
		used = 0
	}
	return min(available, int((limit-used)>>20))
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

// meminfo returns MemAvailable from proc_meminfo(5) in MiB, 0 if it is missing.
func meminfo(text string) int {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemAvailable:" {
			if kB, err := strconv.Atoi(fields[1]); err == nil {
				return kB >> 10
			}
		}
	}
	return 0
}
