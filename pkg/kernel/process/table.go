package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/user"
	"path"
	"regexp"
	"strconv"
	"strings"
)

const (
	// commSize is how much of its name the kernel keeps of a process, in bytes (TASK_COMM_LEN without the final NUL).
	commSize = 15
	// settled is for how many reads of the table a new process is read each time: it was started by fork(2), and becomes
	// the program a moment later.
	settled = 3
	// rounds is in how many reads of the table each process is read once.
	rounds = 8
	// lineSize is how much of a command line is read, in bytes.
	lineSize = 32 << 10
)

// Query selects processes: by Name, or by CommandLine.
type Query struct {
	// Name is the name of the program, without its directory. For a script with an interpreter it is that of the script, as
	// ps -o comm shows it.
	Name string
	// CommandLine matches the arguments, separated by spaces.
	CommandLine *regexp.Regexp
	// Owner is the name or number of the real user; "" is any.
	Owner string
}

// Table is the processes of this machine. It must not be used by several goroutines. The zero value is ready for use.
type Table struct {
	root    string // "" is /proc; set in tests
	queries []Query
	owners  []int // of the queries, as numbers, at the last read; anybody or nobody
	known   map[int]*entry
	reads   int
}

// The owners of a query that are no user.
const (
	anybody = -1
	nobody  = -2
)

// entry is a process of the last read.
type entry struct {
	first   int    // the read in which it was new
	last    int    // the latest read in which it was there
	matches []bool // by query; nil: none
}

// Set sets what to look for.
func (t *Table) Set(queries []Query) {
	t.queries, t.owners, t.known = queries, nil, nil
}

// Look returns the indexes of the queries that a process matches now. It is for a process that has become another
// program.
func (t *Table) Look(pid int) []int {
	if t.owners == nil {
		t.lookUpOwners()
	}
	matches := t.match(pid)
	if e := t.known[pid]; e != nil {
		e.matches = matches
	}
	var found []int
	for n, yes := range matches {
		if yes {
			found = append(found, n)
		}
	}
	return found
}

// Find returns the running processes that match each query, in the order of the queries, by process ID. It may take
// long: the command line of a process cannot be read while the kernel has its memory locked.
func (t *Table) Find() ([][]int, error) {
	pids, err := t.list()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	if t.known == nil {
		t.known = make(map[int]*entry, len(pids))
	}
	t.reads++
	t.lookUpOwners()
	found := make([][]int, len(t.queries))
	for _, pid := range pids {
		e := t.known[pid]
		if e == nil {
			e = &entry{first: t.reads}
			t.known[pid] = e
		}
		e.last = t.reads
		if e.matches != nil || t.reads-e.first < settled || (pid+t.reads)%rounds == 0 {
			e.matches = t.match(pid)
		}
		for n, yes := range e.matches {
			if yes {
				found[n] = append(found[n], pid)
			}
		}
	}
	for pid, e := range t.known {
		if e.last != t.reads {
			delete(t.known, pid)
		}
	}
	return found, nil
}

// lookUpOwners looks the users up, who may change.
func (t *Table) lookUpOwners() {
	t.owners = make([]int, len(t.queries))
	for n, q := range t.queries {
		t.owners[n] = ownerOf(q.Owner)
	}
}

func ownerOf(name string) int {
	if name == "" {
		return anybody
	}
	if u, err := user.Lookup(name); err == nil {
		name = u.Uid
	}
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(id)
	}
	return nobody
}

// list returns the process IDs.
func (t *Table) list() ([]int, error) {
	dir, err := os.Open(t.path(""))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var pids []int
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		if err == io.EOF {
			return pids, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// match returns which queries a process matches; nil if none. A process that has ended meanwhile matches none.
func (t *Table) match(pid int) []bool {
	var matches []bool
	p := &reading{table: t, pid: pid}
	for n, q := range t.queries {
		if !p.is(q) || !p.running() || t.owners[n] != anybody && t.owners[n] != p.owner() {
			continue
		}
		if matches == nil {
			matches = make([]bool, len(t.queries))
		}
		matches[n] = true
	}
	return matches
}

func (t *Table) path(name string) string {
	root := t.root
	if root == "" {
		root = "/proc"
	}
	return path.Join(root, name)
}

// reading is what has been read of one process.
type reading struct {
	table   *Table
	pid     int
	comm    string
	line    []byte
	hasLine bool
}

func (r *reading) read(name string, limit int) []byte {
	f, err := os.Open(r.table.path(strconv.Itoa(r.pid) + "/" + name))
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, limit)
	n, _ := io.ReadFull(f, b)
	return b[:n]
}

// is reports whether the process has the name or the command line of a query.
func (r *reading) is(q Query) bool {
	if q.CommandLine != nil {
		return len(r.arguments()) > 0 && q.CommandLine.Match(r.arguments())
	}
	if r.comm == "" {
		r.comm = strings.TrimSuffix(string(r.read("comm", 64)), "\n")
	}
	if len(q.Name) <= commSize {
		return r.comm == q.Name
	}
	return r.comm == q.Name[:commSize] && r.begins(q.Name)
}

// begins reports whether one of the first two arguments, of a program or of a script with its interpreter, is a program
// with this name.
func (r *reading) begins(name string) bool {
	for n, word := range strings.SplitN(string(r.arguments()), " ", 3) {
		if n < 2 && path.Base(word) == name {
			return true
		}
	}
	return false
}

// arguments returns the command line with spaces between the arguments; empty for a thread of the kernel.
func (r *reading) arguments() []byte {
	if !r.hasLine {
		r.line = bytes.ReplaceAll(bytes.TrimRight(r.read("cmdline", lineSize), "\x00"), []byte{0}, []byte{' '})
		r.hasLine = true
	}
	return r.line
}

// running reports whether the process has not ended: a zombie has a name, too.
func (r *reading) running() bool {
	stat := r.read("stat", 512)
	at := bytes.LastIndex(stat, []byte(") "))
	return at >= 0 && len(stat) > at+2 && stat[at+2] != 'Z' && stat[at+2] != 'X'
}

// owner returns the real user ID; -1 if it cannot be read.
func (r *reading) owner() int {
	for line := range strings.Lines(string(r.read("status", 4096))) {
		if ids, found := strings.CutPrefix(line, "Uid:"); found {
			if fields := strings.Fields(ids); len(fields) > 0 {
				if id, err := strconv.Atoi(fields[0]); err == nil {
					return id
				}
			}
		}
	}
	return -1
}
