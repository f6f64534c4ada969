package process

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fakeProc is a directory like /proc.
type fakeProc struct {
	t    *testing.T
	root string
}

func (f fakeProc) process(pid int, comm, arguments, state string, uid int) {
	f.t.Helper()
	dir := filepath.Join(f.root, fmt.Sprint(pid))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	for name, content := range map[string]string{
		"comm":    comm + "\n",
		"cmdline": strings.ReplaceAll(arguments, " ", "\x00") + "\x00",
		"stat":    fmt.Sprintf("%d (%s) %s 1 1 1", pid, comm, state),
		"status":  fmt.Sprintf("Name:\t%s\nUid:\t%d\t0\t0\t0\nGid:\t0\n", comm, uid),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f fakeProc) end(pid int) { _ = os.RemoveAll(filepath.Join(f.root, fmt.Sprint(pid))) }

func find(t *testing.T, table *Table) [][]int {
	t.Helper()
	found, err := table.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, pids := range found {
		slices.Sort(pids)
	}
	return found
}

func TestQueries(t *testing.T) {
	proc := fakeProc{t, t.TempDir()}
	proc.process(10, "mysqld", "/usr/sbin/mysqld --user=mysql", "S", 101)
	proc.process(11, "mysqld", "/usr/sbin/mysqld --port=3307", "R", 102)
	proc.process(12, "mysqld", "", "Z", 101)
	proc.process(13, "a) Z (b", "a) Z (b", "S", 0)
	proc.process(14, "a-very-long-name"[:15], "/opt/a-very-long-name-of-a-program x", "S", 0)
	proc.process(15, "a-very-long-name"[:15], "/bin/sh /opt/a-very-long-name-of-another", "S", 0)
	proc.process(16, "kworker/0:1", "", "I", 0)
	if err := os.MkdirAll(filepath.Join(proc.root, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	table := Table{root: proc.root}
	for _, one := range []struct {
		query Query
		want  []int
	}{
		{Query{Name: "mysqld"}, []int{10, 11}},
		{Query{Name: "mysqld", Owner: "101"}, []int{10}},
		{Query{Name: "mysqld", Owner: "no-such-user"}, nil},
		{Query{Name: "a) Z (b", Owner: "root"}, []int{13}},
		{Query{Name: "mysql"}, nil},
		{Query{Name: "a) Z (b"}, []int{13}},
		{Query{Name: "a-very-long-name-of-a-program"}, []int{14}},
		{Query{Name: "a-very-long-name-of-another"}, []int{15}},
		{Query{Name: "a-very-long-nam"}, []int{14, 15}},
		{Query{CommandLine: regexp.MustCompile(`mysqld .*--port=3307$`)}, []int{11}},
		{Query{CommandLine: regexp.MustCompile(``), Owner: "102"}, []int{11}},
	} {
		table.Set([]Query{{Name: "nothing"}, one.query})
		if got := find(t, &table)[1]; !slices.Equal(got, one.want) {
			t.Errorf("%+v: %v, want %v", one.query, got, one.want)
		}
	}
}

// TestChanges: what is new, or has matched before, is seen by the next read, and a process that becomes another program
// by one of the next eight.
func TestChanges(t *testing.T) {
	proc := fakeProc{t, t.TempDir()}
	table := Table{root: proc.root}
	table.Set([]Query{{Name: "mysqld"}})
	for pid := 100; pid < 110; pid++ {
		proc.process(pid, "sh", "sh", "S", 0)
	}
	for range settled + 1 {
		if got := find(t, &table)[0]; len(got) > 0 {
			t.Fatalf("%v", got)
		}
	}
	proc.process(200, "mysqld", "mysqld", "S", 0)
	if got := find(t, &table)[0]; !slices.Equal(got, []int{200}) {
		t.Errorf("a new process: %v", got)
	}
	proc.process(200, "other", "other", "S", 0)
	if got := find(t, &table)[0]; len(got) > 0 {
		t.Errorf("after it became another program: %v", got)
	}
	proc.process(101, "mysqld", "mysqld", "S", 0)
	var got []int
	for range rounds {
		got = find(t, &table)[0]
	}
	if !slices.Equal(got, []int{101}) {
		t.Errorf("an old process that became the program: %v", got)
	}
	proc.process(102, "mysqld", "mysqld", "S", 0)
	if got := table.Look(102); !slices.Equal(got, []int{0}) {
		t.Errorf("looked at: %v", got)
	}
	if got := find(t, &table)[0]; !slices.Equal(got, []int{101, 102}) {
		t.Errorf("after the look: %v", got)
	}
	for pid := 100; pid < 110; pid++ {
		proc.end(pid)
	}
	if got := find(t, &table)[0]; len(got) > 0 || len(table.known) != 1 {
		t.Errorf("after the end: %v, %d known", got, len(table.known))
	}
	proc.end(200)
	if got := table.Look(200); got != nil {
		t.Errorf("a process that has ended: %v", got)
	}
}

// TestFewReads: what is known and does not match is read in one of eight reads of the table.
func TestFewReads(t *testing.T) {
	proc := fakeProc{t, t.TempDir()}
	table := Table{root: proc.root}
	table.Set([]Query{{Name: "mysqld"}})
	for pid := 1; pid <= 80; pid++ {
		proc.process(pid, "sh", "sh", "S", 0)
	}
	for range settled + 1 {
		find(t, &table)
	}
	for pid := 1; pid <= 80; pid++ {
		proc.process(pid, "mysqld", "mysqld", "S", 0)
	}
	for n := 1; n <= rounds; n++ {
		if got := len(find(t, &table)[0]); got != n*80/rounds {
			t.Errorf("after %d reads %d were read, want %d", n, got, n*80/rounds)
		}
	}
}

func TestUnreadable(t *testing.T) {
	table := Table{root: filepath.Join(t.TempDir(), "none")}
	if _, err := table.Find(); err == nil {
		t.Error("no error")
	}
}

func BenchmarkFind(b *testing.B) {
	var table Table
	table.Set([]Query{{Name: "mysqld"}})
	for b.Loop() {
		if _, err := table.Find(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(table.known)), "ns/process")
	b.ReportMetric(float64(len(table.known)), "processes")
}
