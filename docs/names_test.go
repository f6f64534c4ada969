package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// strangers are names with an underscore in the pages that our programs do not know, by whose they are.
var strangers = map[string][]string{
	"keepalived": {
		"enable_dbus", "enable_snmp_vrrp", "garp_extra_if", "max_ttl", "net_namespace", "thread_timer_expired", "timer_expired_backup",
		"vmac_garp_intvl",
	},
	"Linux":         {"conn_tab_bits", "drop_entry", "icmp_ratelimit", "ip_vs_dest_conn_overhead", "ip_vs_stats", "keep_addr_on_down", "log_martians", "nf_conntrack", "nf_conntrack_max", "num_grat_arp", "proxy_arp", "sloppy_tcp", "tcp_keepalive_time"},
	"MySQL":         {"auto_increment", "auto_increment_increment", "log_slave_updates", "max_user_connections", "session_connect_attrs", "slave_skip_errors", "sql_slave_skip_counter"},
	"node_exporter": {"node_ipvs_backend_connections_active", "node_ipvs_backend_weight"},
	"needrestart":   {"override_rc"},
	"SELinux":       {"unconfined_service_t"},
	"examples":      {"chk_mysql", "clock_skewed", "hop_limit", "leases_test", "reload_test", "takeover_test"},
}

var snake = regexp.MustCompile(`\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b`)

// The keys, problem codes, fields and sysctls that a page names in inline code are known to the programs.
func TestNamesAreKnown(t *testing.T) {
	known := map[string]bool{}
	for _, names := range strangers {
		for _, name := range names {
			known[name] = true
		}
	}
	for _, dir := range []string{"../pkg", "../realserver", "../cmd", "../deploy"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return fs.SkipDir
			case d.IsDir() || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			data, err := os.ReadFile(path)
			for _, name := range snake.FindAllString(string(data), -1) {
				known[name] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	named := map[string]int{}
	for _, p := range pages(t) {
		for _, span := range p.spans {
			for _, name := range snake.FindAllString(span, -1) {
				named[name]++
				if !known[name] {
					t.Errorf("%s: %s: our programs do not know %s; if it is another program's, add it to strangers", p.path, span, name)
				}
			}
		}
	}
	if len(named) < 300 {
		t.Errorf("only %d names found", len(named))
	}
	for whose, names := range strangers {
		for _, name := range names {
			if named[name] == 0 {
				t.Errorf("no page names %s of %s any more: remove it from strangers", name, whose)
			}
		}
	}
}

var (
	identifier    = regexp.MustCompile(`^([a-z]\w+)\.([A-Z]\w+)`)
	packageClause = regexp.MustCompile(`(?m)^package (\w+)`)
)

// The identifiers that a page names with their package exist.
func TestIdentifiersExist(t *testing.T) {
	sources := map[string]*strings.Builder{} // of each package by its name
	for _, path := range goFiles(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := packageClause.FindStringSubmatch(string(data))[1]
		if sources[name] == nil {
			sources[name] = &strings.Builder{}
		}
		sources[name].Write(data)
	}
	named := 0
	for _, p := range pages(t) {
		for _, span := range p.spans {
			m := identifier.FindStringSubmatch(span)
			if m == nil || sources[m[1]] == nil {
				continue
			}
			named++
			if !regexp.MustCompile(`\b` + m[2] + `\b`).MatchString(sources[m[1]].String()) {
				t.Errorf("%s: there is no %s.%s", p.path, m[1], m[2])
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d identifiers found", named)
	}
}

// goFiles are the Go files of the tree but those in testdata.
func goFiles(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "out"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"):
			all = append(all, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var available = regexp.MustCompile(`(?m)^  ([a-z]+) `)

// verbs are the verbs of a program that its help lists, without help itself.
func verbs(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command(program, "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%s --help: %v\n%s", program, err, out)
	}
	_, list, _ := strings.Cut(string(out), "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\nFlags:")
	var all []string
	for _, m := range available.FindAllStringSubmatch(list, -1) {
		if m[1] != "help" {
			all = append(all, m[1])
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s --help lists no verbs:\n%s", program, out)
	}
	return all
}

// checkListed checks that the table of commands in operations.md has each verb of the programs in dir.
func checkListed(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Commands\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, program := range []string{"lvsctl", "lvs-director"} {
		for _, verb := range verbs(t, filepath.Join(dir, program)) {
			if verb != "run" && !regexp.MustCompile("(?m)^\\| `"+program+" "+verb+`\b`).MatchString(table) {
				t.Errorf("operations.md, Commands: no row for `%s %s`", program, verb)
			}
		}
	}
}

// The status in the quick start shows the digest of the cluster file that it installs.
func TestQuickstartHasTheDigestOfItsFile(t *testing.T) {
	text, err := os.ReadFile("quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("../deploy/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`config (sha256:[0-9a-f]+)`).FindAllStringSubmatch(string(text), -1)
	if len(shown) < 2 {
		t.Errorf("only %d digests", len(shown))
	}
	for _, m := range shown {
		if want := config.DigestOf(file); !strings.HasPrefix(want, m[1]) {
			t.Errorf("%s; deploy/cluster.yaml has %s", m[1], want)
		}
	}
}

var proves = regexp.MustCompile(`// Proves (\S+): "([^"]+)"`)

// A scenario that a page shows as an example quotes a sentence that exists.
func TestExamplesOfScenariosQuoteThePages(t *testing.T) {
	found := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			for _, m := range proves.FindAllStringSubmatch(b.text, -1) {
				found++
				text, err := os.ReadFile(filepath.Join("..", m[1]))
				if err != nil || !strings.Contains(folded(string(text)), folded(m[2])) {
					t.Errorf("%s: %s does not contain %q (%v)", p.path, m[1], m[2], err)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no example found")
	}
}
