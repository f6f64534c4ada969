package priority_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/priority"
)

var update = flag.Bool("update", false, "rewrite the tables in testdata; read the diff before you keep it")

// pair is a cluster file with one instance on two directors.
func pair(instance, tracks string) string {
	return "version: 1\ndirectors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]\nvrrp_instances:\n" +
		"- {name: mysql, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], " + instance + "}\n" + tracks
}

func track(names ...string) string {
	text := "tracks:\n"
	for i, name := range names {
		text += fmt.Sprintf("- {name: %s, type: tcp, address: 127.0.0.1, port: %d}\n", name, 1000+i)
	}
	return text
}

const between = "per_node: {a: {priority: 101}, b: {priority: 99}}"

// files are the configurations that are judged; a table of each is in testdata.
var files = map[string]struct {
	file     string
	warnings []string
}{
	"seed-000": {pair("preempt: false, tracks: [{name: mysql-port, weight: -5}], "+between, track("mysql-port")), []string{
		"the weight -5 of mysql-port never takes the virtual addresses from a: with preempt: false b does not take over from a MASTER of lower priority",
		"the weight -5 of mysql-port never takes the virtual addresses from b: with preempt: false a does not take over from a MASTER of lower priority",
	}},
	"seed-000-with-faults": {pair("preempt: false, tracks: [mysql-port], "+between, track("mysql-port")), nil},
	"seed-003":             {pair("tracks: [{name: chk_mysql, weight: 2}], per_node: {a: {priority: 101}, b: {priority: 100}}", track("chk_mysql")), nil},
	"seed-003-too-far": {pair("tracks: [{name: chk_mysql, weight: 2}], per_node: {a: {priority: 101}, b: {priority: 90}}", track("chk_mysql")), []string{
		"the weight 2 of chk_mysql never takes the virtual addresses from a: its priority is at least 101, and that of another director at most 92",
	}},
	"seed-004": {pair("preempt: false, tracks: [vs_mysql_82]", track("vs_mysql_82")), nil},
	"equal-weight": {pair("tracks: [{name: db, weight: -20}], per_node: {a: {priority: 120}, b: {priority: 100}}", track("db")), []string{
		"the weight -20 of db never takes the virtual addresses from a: its priority is at least 100, and that of another director at most 100",
	}},
	"larger-weight": {pair("tracks: [{name: db, weight: -21}], per_node: {a: {priority: 120}, b: {priority: 100}}", track("db")), nil},
	"only-together": {pair("tracks: [{name: x, weight: -15}, {name: y, weight: -15}], per_node: {a: {priority: 120}, b: {priority: 100}}", track("x", "y")), nil},
	"one-of-two-idle": {pair("tracks: [{name: x, weight: -25}, {name: y, weight: 0}, {name: z, weight: -2, reverse: true}], per_node: {a: {priority: 120}, b: {priority: 100}}", track("x", "y", "z")), []string{
		"the weight -2 of z never takes the virtual addresses from a: its priority is at least 95, and that of another director at most 102",
		"the weight -2 of z never takes the virtual addresses from b: its priority is at least 75, and that of another director at most 122",
	}},
	"clamped": {pair("tracks: [{name: db, weight: 50}], per_node: {a: {priority: 254}, b: {priority: 230}}", track("db")), []string{
		"the weight 50 of db never takes the virtual addresses from a: its priority is at least 254, and that of another director at most 254",
	}},
	"gate": {pair("tracks: [net], "+between, strings.Replace(track("net"), "}", ", when: becoming_master, timeout: 900ms}", 1)), nil},
	"slow-gate": {pair("tracks: [net], "+between, strings.Replace(track("net"), "}", ", when: becoming_master, interval: 2s}", 1)), []string{
		"net finds a failure after up to 6s (fall × interval + timeout), and a director that is cut off takes over after 3s without adverts: it would be MASTER by then",
	}},
	"owner": {pair("tracks: [{name: db, weight: -50}], per_node: {a: {priority: 255}, b: {priority: 100}}", track("db")), nil},
	"many":  {pair("tracks: [{name: a1, weight: -1}, {name: a2, weight: -2}, {name: a3, weight: -4}, {name: a4, weight: -8}], "+between, track("a1", "a2", "a3", "a4")), nil},
	"own-vip": {pair("tracks: [db]", "tracks: [{name: db, type: tcp, address: 10.77.0.100, port: 80}]\n"), []string{
		"db asks the virtual address 10.77.0.100 of this instance: the MASTER answers, whoever that is, and the virtual addresses may move for ever",
	}},
	"alone": {strings.Replace(pair("tracks: [{name: db, weight: -5}]", track("db")), ", {name: b, address: 10.77.0.3}", "", 1), nil},
	"three": {strings.Replace(pair("tracks: [{name: db, weight: -30}], per_node: {a: {priority: 120}, b: {priority: 100, preempt: false}}", track("db")), "10.77.0.3}", "10.77.0.3}, {name: c, address: 10.77.0.4}", 1), nil},
}

// TestWarnings: weights that never move a virtual address are named, and no others.
func TestWarnings(t *testing.T) {
	for name, c := range files {
		cfg, problems := config.Parse("f", []byte(c.file))
		if cfg == nil {
			t.Fatalf("%s: %s", name, problems)
		}
		var got []string
		for _, p := range priority.Warnings(cfg) {
			got = append(got, p.Message)
			if !p.Warning || p.Line != 4 || p.Path != "vrrp_instances[0].tracks" || p.Hint == "" {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if diff := cmp.Diff(c.warnings, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestCircles: tracks that ask an address which moves with the instance, of a sync group, and as one of the targets of a gateway.
func TestCircles(t *testing.T) {
	const file = `version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
tracks:
  - {name: db, type: tcp, address: 10.77.0.101, port: 80}
  - {name: net, type: gateway, targets: [10.77.0.1, 10.77.0.100], interval: 100ms, timeout: 50ms}
vrrp_instances:
  - {name: one, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], tracks: [db, net], per_node: {a: {priority: 150}}}
  - {name: two, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101], per_node: {a: {priority: 150}}}
  - {name: other, interface: eth0, virtual_router_id: 53, virtual_addresses: [10.77.0.102], tracks: [db, net], per_node: {a: {priority: 150}}}
sync_groups:
  - {name: site, instances: [one, two]}
`
	cfg, problems := config.Parse("f", []byte(file))
	if cfg == nil {
		t.Fatal(problems)
	}
	var got []string
	for _, p := range priority.Warnings(cfg) {
		if strings.Contains(p.Message, "for ever") {
			got = append(got, fmt.Sprintf("%d: %s", p.Line, p.Message))
		}
	}
	want := []string{
		"7: db asks the virtual address 10.77.0.101 of two, which is in its sync group: the MASTER answers, whoever that is, and the virtual addresses may move for ever",
		"7: net asks the virtual address 10.77.0.100 of this instance: the MASTER answers, whoever that is, and the virtual addresses may move for ever",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTables: the tables of the same files.
func TestTables(t *testing.T) {
	for name, c := range files {
		cfg, _ := config.Parse("f", []byte(c.file))
		var got string
		for _, table := range priority.Explain(cfg) {
			got += table.String()
		}
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestManyTracks: with more tracks than can be tried together, single failures are shown, and the table says so.
func TestManyTracks(t *testing.T) {
	var names, uses []string
	for i := range 13 {
		names = append(names, fmt.Sprintf("t%d", i))
		uses = append(uses, fmt.Sprintf("{name: t%d, weight: -%d}", i, i+1))
	}
	cfg, problems := config.Parse("f", []byte(pair("tracks: ["+strings.Join(uses, ", ")+"]", track(names...))))
	if cfg == nil {
		t.Fatal(problems)
	}
	table := priority.Explain(cfg)[0]
	if len(table.Rows) != 27 || !strings.Contains(strings.Join(table.Notes, "\n"), "there are 26 tracks on all directors together: only the states with at most 1 failures are shown") {
		t.Errorf("%d rows, %q", len(table.Rows), table.Notes)
	}
	if got := priority.Warnings(cfg); got != nil {
		t.Error(got)
	}
}
