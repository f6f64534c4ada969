package migration_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/conftree"
	"github.com/lvs-director/lvs-director/pkg/ipvsadm"
	"github.com/lvs-director/lvs-director/pkg/keepalived"
	"github.com/lvs-director/lvs-director/pkg/ldirectord"
	"github.com/lvs-director/lvs-director/pkg/migration"
)

var update = flag.Bool("update", false, "rewrite the expected results under testdata")

// Each .want file has the cluster file of one or two configurations, what lvsctl check says about it, the lines that are
// not translated, and what the configurations do not say. A result of which no line is refused is valid.
func TestImport(t *testing.T) {
	for want, files := range configurations(t) {
		t.Run(want, func(t *testing.T) {
			var sources []migration.Source
			for n, file := range files {
				sources = append(sources, source(t, fmt.Sprintf("lvs%d", n+1), file))
			}
			options := migration.Options{SecretsDir: "/etc/lvs-director"}
			if strings.HasPrefix(want, "shapes/") {
				options.Addresses = map[string]string{"lvs1": "10.77.0.2", "lvs2": "10.77.0.3"}
			}
			result := migration.Import(sources, options)
			accounted(t, sources, result)
			if result.Refused() == 0 && options.Addresses != nil {
				complete(t, result)
			}
			golden(t, "testdata/"+want+".want", show(result))
		})
	}
}

// configurations returns the files of each result: those of the seeds, and each of the directory shapes, or two of them whose
// names end in -a and -b.
func configurations(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{
		"seeds/000":       {"seeds/000-a.conf", "seeds/000-b.conf"},
		"seeds/001":       {"seeds/001-a.conf", "seeds/001-b.conf"},
		"seeds/002":       {"seeds/002.conf"},
		"seeds/003-basic": {"seeds/003-basic.conf"},
		"seeds/003-mysql": {"seeds/003-mysql.conf"},
		"seeds/003-mail":  {"seeds/003-mail.conf"},
		"seeds/004":       {"seeds/004-a.conf", "seeds/004-b.conf"},
	}
	entries, err := os.ReadDir("testdata/shapes")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		base, extension, _ := strings.Cut(e.Name(), ".")
		if extension != "want" {
			want := "shapes/" + strings.TrimSuffix(strings.TrimSuffix(base, "-a"), "-b")
			all[want] = append(all[want], "shapes/"+e.Name())
		}
	}
	return all
}

func source(t *testing.T, node, file string) migration.Source {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return migration.Source{Node: node, Files: []migration.File{parsed(node, filepath.Base(file), data)}}
}

// parsed parses a file, whose kind is that of its name.
func parsed(node, name string, data []byte) migration.File {
	switch filepath.Ext(name) {
	case ".cf":
		return migration.File{Kind: migration.Ldirectord, Tree: ldirectord.Parse(name, data)}
	case ".rules":
		return migration.File{Kind: migration.IPVSAdm, Tree: ipvsadm.Parse(name, data)}
	}
	return migration.File{Tree: keepalived.Parse(name, data, keepalived.Options{Host: node})}
}

func show(r migration.Result) string {
	var b strings.Builder
	b.Write(r.YAML)
	_, problems := config.Parse("cluster.yaml", r.YAML)
	fmt.Fprintf(&b, "\n--- lvsctl check\n%s\n--- lines\n", problems)
	for _, l := range r.Lines {
		if l.Verdict > migration.Translated || l.Reason != "" {
			fmt.Fprintln(&b, l)
		}
	}
	b.WriteString("\n--- not in the source\n")
	for _, u := range r.Unknown {
		fmt.Fprintln(&b, u)
	}
	for _, s := range r.Secrets {
		fmt.Fprintf(&b, "secret %s: %s\n", s.Name, s.Value)
	}
	return b.String()
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// accounted demands one verdict for each line, and a reason for each that is not translated.
func accounted(t fataler, sources []migration.Source, r migration.Result) {
	t.Helper()
	var want []conftree.Line
	for _, s := range sources {
		for _, f := range s.Files {
			want = append(want, f.Tree.Lines...)
		}
	}
	if len(r.Lines) != len(want) {
		t.Fatalf("%d lines have a verdict, of %d", len(r.Lines), len(want))
	}
	for i, l := range r.Lines {
		text := strings.TrimSpace(want[i].Text)
		comment := text == "" || strings.ContainsAny(text[:1], "#!")
		switch {
		case l.Text != want[i].Text || l.At.Line != want[i].At.Line || l.At.File != want[i].At.File:
			t.Errorf("line %d is %v, want %v", i, l, want[i])
		case l.Verdict == migration.Empty && !comment:
			t.Errorf("no verdict: %s", l)
		case l.Verdict > migration.Translated && l.Reason == "":
			t.Errorf("no reason: %s", l)
		}
	}
}

func complete(t *testing.T, r migration.Result) {
	t.Helper()
	if _, problems := config.Parse("cluster.yaml", r.YAML); problems.Failed() {
		t.Errorf("the result is not valid:\n%s\n%s", problems, r.YAML)
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), go test ./pkg/migration -update rewrites it:\n%s", path, diff)
	}
}

// With the addresses of the directors, the pair of two files passes lvsctl check.
func TestAddresses(t *testing.T) {
	for _, pair := range [][]string{{"seeds/001-a.conf", "seeds/001-b.conf"}, {"seeds/004-a.conf", "seeds/004-b.conf"}} {
		result := migration.Import([]migration.Source{source(t, "lvs1", pair[0]), source(t, "lvs2", pair[1])}, migration.Options{
			SecretsDir: "/etc/lvs-director", Addresses: map[string]string{"lvs1": "10.77.0.2", "lvs2": "10.77.0.3"},
		})
		complete(t, result)
	}
}

// What must be the same on all directors and is not is refused at its place in the second file; what only one director
// has is refused, too.
func TestDirectorsThatDiffer(t *testing.T) {
	const in = "vrrp_instance V {\n  interface eth0\n  virtual_router_id 51\n  nopreempt\n  virtual_ipaddress {\n    10.77.0.100\n  }\n}\nvrrp_instance W {\n  interface eth0\n  virtual_router_id 52\n  virtual_ipaddress {\n    10.77.0.101\n  }\n}\n"
	other, _, _ := strings.Cut(strings.Replace(strings.Replace(in, "51", "53", 1), "  nopreempt\n", "", 1), "vrrp_instance W")
	parse := func(name, in string) migration.Source {
		return migration.Source{Node: name, Files: []migration.File{{Tree: keepalived.Parse(name+".conf", []byte(in), keepalived.Options{Host: name})}}}
	}
	r := migration.Import([]migration.Source{parse("a", in), parse("b", other)}, migration.Options{})
	var refused []string
	for _, l := range r.Lines {
		if l.Verdict == migration.Refused {
			refused = append(refused, l.String())
		}
	}
	want := []string{
		"a.conf:9:1: refused: vrrp_instance W {: not all directors have it: the file has it for all of them",
		"b.conf:3:3: refused: virtual_router_id 53: virtual_router_id of V is the same on all directors, and a has another one, which is written",
	}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Error(diff)
	}
	if text := string(r.YAML); !strings.Contains(text, "virtual_router_id: 51") || !strings.Contains(text, "per_node:\n      a: {preempt: false}\n") {
		t.Errorf("the cluster file:\n%s", text)
	}
}
