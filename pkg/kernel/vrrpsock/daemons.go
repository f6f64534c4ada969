package vrrpsock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Daemons describes the programs that have a VRRP socket in the network namespace of the calling thread, "keepalived (pid
// 791)" if they can be told; empty: there is no such socket. Sockets of this process are not told apart.
func Daemons() ([]string, error) {
	open, err := anySocket("/proc/thread-self/net")
	if !open || err != nil {
		return nil, err
	}
	if all := keepalived("/proc", "/run"); len(all) > 0 {
		return all, nil
	}
	return []string{"another VRRP daemon (see ss -lwp)"}, nil
}

// anySocket reports whether a network namespace has a raw socket of protocol 112. The kernel shows the protocol in place
// of the port (raw_sock_seq_show in net/ipv4/raw.c).
func anySocket(dir string) (bool, error) {
	for _, name := range []string{"raw", "raw6"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", protocol)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// keepalived returns the running keepalived processes without their children, those of another network namespace left
// out if that is known. A daemon may not see the processes of other users (ProtectProc= of its unit): then its pid file
// tells.
func keepalived(proc, run string) []string {
	found := map[int]int{} // parent by process ID
	entries, _ := os.ReadDir(proc)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || word(filepath.Join(proc, e.Name(), "comm")) != "keepalived" {
			continue
		}
		here, errHere := os.Readlink(filepath.Join(proc, "thread-self", "ns", "net"))
		there, errThere := os.Readlink(filepath.Join(proc, e.Name(), "ns", "net"))
		if errHere == nil && errThere == nil && here != there {
			continue
		}
		found[pid] = parent(filepath.Join(proc, e.Name(), "stat"))
	}
	var all []string
	for _, pid := range slices.Sorted(maps.Keys(found)) {
		if _, child := found[found[pid]]; !child {
			all = append(all, fmt.Sprintf("keepalived (pid %d)", pid))
		}
	}
	for _, file := range []string{"keepalived.pid", "keepalived/keepalived.pid"} {
		if pid := word(filepath.Join(run, file)); len(all) == 0 && pid != "" {
			all = append(all, fmt.Sprintf("keepalived (pid %.10s)", pid))
		}
	}
	return all
}

// word returns the content of a short file; "" if it cannot be read.
func word(path string) string {
	text, err := os.ReadFile(path)
	if err != nil || len(text) > 64 {
		return ""
	}
	return string(bytes.TrimSpace(text))
}

// parent returns the fourth field of /proc/PID/stat; the second, a name in parentheses, may contain spaces (proc(5)).
func parent(stat string) int {
	text, _ := os.ReadFile(stat)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	pid, _ := strconv.Atoi(fields[1])
	return pid
}
