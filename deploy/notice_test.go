package deploy_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write NOTICE")

// TestNotice: NOTICE has the licence of each library that is linked into a program, and of Go's own. With -update it is written.
func TestNotice(t *testing.T) {
	const path = "../NOTICE"
	want := notice(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(got), "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("NOTICE does not fit go.mod; write it with `go test ./deploy -run TestNotice -update`:\n%s", diff)
	}
}

// notice is NOTICE as the tree needs it.
func notice(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("lvs-director\nLicensed under the Apache License, Version 2.0; see LICENSE.\n\n" +
		"The programs contain the libraries below, with these licences. Made by `go test ./deploy -run TestNotice -update`.\n")
	chapter := func(name string, files ...string) {
		fmt.Fprintf(&b, "\n%s\n%s\n", strings.Repeat("=", 78), name)
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"))
		}
	}
	chapter("The Go runtime and standard library", goLicence(t))
	for _, line := range linked(t) {
		module, dir, _ := strings.Cut(line, "\t")
		files := licences(t, dir)
		if len(files) == 0 {
			t.Errorf("%s has no licence file in %s", module, dir)
		}
		chapter(module, files...)
	}
	return b.String()
}

// linked are the modules in the programs, each with its version and, after a tab, its directory.
func linked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}",
		"../cmd/lvs-director", "../cmd/lvs-realserver", "../cmd/lvsctl")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	lines = slices.DeleteFunc(slices.Compact(lines), func(line string) bool { return line == "" })
	if len(lines) < 10 {
		t.Fatalf("only %v", lines)
	}
	return lines
}

// licences are the files in the directory of a module that its licence asks to be passed on.
func licences(t *testing.T, dir string) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if !e.IsDir() && (strings.HasPrefix(name, "LICENSE") || strings.HasPrefix(name, "LICENCE") || strings.HasPrefix(name, "COPYING") || strings.HasPrefix(name, "NOTICE")) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}

// goLicence is Go's own licence, from golang.org/x/sys, which has the same: not every distribution of Go has the file in its root.
func goLicence(t *testing.T) string {
	t.Helper()
	for _, line := range linked(t) {
		if module, dir, _ := strings.Cut(line, "\t"); strings.HasPrefix(module, "golang.org/x/sys ") {
			return filepath.Join(dir, "LICENSE")
		}
	}
	t.Fatal("golang.org/x/sys is not linked")
	return ""
}
