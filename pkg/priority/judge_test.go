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

const (
	ownVIP       = "tracks: [{name: db, type: tcp, address: 10.77.0.100, port: 80}]\n"
	ownRoute     = "routes: [{destination: 198.51.100.0/24, via: 10.77.0.1}]"
	gatewayTrack = "tracks: [{name: gw, type: gateway, targets: [198.51.100.1], interval: 500ms, timeout: 400ms}]\n"
)

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
		"a and b have the same priority, 254, with preempt: true: the one that is MASTER stays it; if both become MASTER at once, the higher address wins",
	}},
	"equal": {pair("tracks: [{name: db, weight: -20}]", track("db")), []string{
		"a and b have the same priority, 100, with preempt: true: the one that is MASTER stays it; if both become MASTER at once, the higher address wins",
	}},
	"equal-with-weight": {pair("per_node: {a: {priority: 120}, b: {tracks: [{name: db, weight: 20}]}}", track("db")), []string{
		"a and b have the same priority, 120, with preempt: true: the one that is MASTER stays it; if both become MASTER at once, the higher address wins",
	}},
	"equal-on-purpose": {pair("preempt: false", ""), nil},
	"equal-preempt-on-one": {pair("preempt: false, per_node: {b: {preempt: true}}", ""), []string{
		"a and b have the same priority, 100, with preempt: true: the one that is MASTER stays it; if both become MASTER at once, the higher address wins",
	}},
	"different-with-weight": {pair("per_node: {a: {priority: 90, tracks: [{name: db, weight: 20}]}}", track("db")), nil},
	"gate":                  {pair("tracks: [net], "+between, strings.Replace(track("net"), "}", ", when: becoming_master, timeout: 900ms}", 1)), nil},
	"slow-gate": {pair("tracks: [net], "+between, strings.Replace(track("net"), "}", ", when: becoming_master, interval: 2s}", 1)), []string{
		"net finds a failure after up to 6s (fall × interval + timeout), and a director that is cut off takes over after 3s without adverts: it would be MASTER by then",
	}},
	"owner": {pair("tracks: [{name: db, weight: -50}], per_node: {a: {priority: 255}, b: {priority: 100}}", track("db")), nil},
	"many":  {pair("tracks: [{name: a1, weight: -1}, {name: a2, weight: -2}, {name: a3, weight: -4}, {name: a4, weight: -8}], "+between, track("a1", "a2", "a3", "a4")), nil},
	"own-vip": {pair("tracks: [db], "+between, ownVIP), []string{
		"db asks the virtual address 10.77.0.100 of this instance: nobody answers there before a director is MASTER, and none becomes MASTER before somebody answers",
	}},
	"own-vip-gate": {pair("tracks: [db], "+between, strings.Replace(ownVIP, "port: 80", "port: 80, timeout: 900ms, fall: 1, when: becoming_master", 1)), []string{
		"db asks the virtual address 10.77.0.100 of this instance: nobody answers there before a director is MASTER, and none becomes MASTER before somebody answers",
	}},
	"own-vip-reverse": {pair("tracks: [{name: db, weight: 0, reverse: true}], "+between, ownVIP), []string{
		"db asks the virtual address 10.77.0.100 of this instance: each director that becomes MASTER gives the virtual addresses up for that reason, and they move for ever",
	}},
	"own-vip-weight": {pair("tracks: [{name: db, weight: -20}], "+between, ownVIP), []string{
		"db asks the virtual address 10.77.0.100 of this instance: a MASTER that does not reach it on itself gives way to another director, and takes over again when that one answers, for ever",
	}},
	"own-vip-small-weight": {pair("tracks: [{name: db, weight: 2}], per_node: {a: {priority: 101}, b: {priority: 90}}", ownVIP), []string{
		"the weight 2 of db never takes the virtual addresses from a: its priority is at least 101, and that of another director at most 92",
		"db asks the virtual address 10.77.0.100 of this instance: the MASTER answers, whoever that is, so that it says nothing about a single director",
	}},
	"own-vip-on-one": {pair("per_node: {a: {priority: 150, tracks: [{name: db, weight: -60}]}, b: {priority: 100}}", ownVIP), []string{
		"db asks the virtual address 10.77.0.100 of this instance: a MASTER that does not reach it on itself gives way to another director, and takes over again when that one answers, for ever",
	}},
	"own-route": {pair(ownRoute+", tracks: [gw], "+between, gatewayTrack), []string{
		"gw asks 198.51.100.1 by the route to 198.51.100.0/24 of this instance, which only the MASTER has: unless they have another one, no director becomes MASTER",
	}},
	"own-route-weight": {pair(ownRoute+", tracks: [{name: db, weight: 20}], "+between, "tracks: [{name: db, type: tcp, address: 198.51.100.1, port: 80}]\n"), []string{
		"db asks 198.51.100.1 by the route to 198.51.100.0/24 of this instance, which only the MASTER has: it says who is MASTER, not who should be",
	}},
	"own-route-reverse": {pair(ownRoute+", tracks: [{name: db, weight: 0, reverse: true}], "+between, "tracks: [{name: db, type: tcp, address: 198.51.100.1, port: 80}]\n"), []string{
		"db asks 198.51.100.1 by the route to 198.51.100.0/24 of this instance, which only the MASTER has: each director that becomes MASTER gives the virtual addresses up for that reason, and they move for ever",
	}},
	"other-route": {pair(strings.Replace(ownRoute, "198.51.100.0/24", "default", 1)+", tracks: [gw], "+between, gatewayTrack), nil},
	"alone":       {strings.Replace(pair("tracks: [{name: db, weight: -5}]", track("db")), ", {name: b, address: 10.77.0.3}", "", 1), nil},
	"three": {strings.Replace(pair("tracks: [{name: db, weight: -30}], per_node: {a: {priority: 120}, b: {priority: 100, preempt: false}}", track("db")), "10.77.0.3}", "10.77.0.3}, {name: c, address: 10.77.0.4}", 1), []string{
		"b and c have the same priority, 100, with preempt: true: the one that is MASTER stays it; if both become MASTER at once, the higher address wins",
	}},
}

// TestWarnings: equal priorities and weights that never move a virtual address are named, and no others.
func TestWarnings(t *testing.T) {
	for name, c := range files {
		cfg, problems := config.Parse("f", []byte(c.file))
		if cfg == nil {
			t.Fatalf("%s: %s", name, problems)
		}
		var got []string
		for _, p := range priority.Warnings(cfg) {
			got = append(got, p.Message)
			if !p.Warning || p.Line != 4 || !strings.HasSuffix(p.Path, ".tracks") && !strings.HasSuffix(p.Path, ".priority") || p.Hint == "" {
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
		if strings.Contains(p.Message, "asks") {
			got = append(got, fmt.Sprintf("%d: %s", p.Line, p.Message))
		}
	}
	want := []string{
		"7: db asks the virtual address 10.77.0.101 of two, which is in its sync group: nobody answers there before a director is MASTER, and none becomes MASTER before somebody answers",
		"7: net asks the virtual address 10.77.0.100 of this instance: the MASTER answers, whoever that is, so that it says nothing about a single director",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEqualInGroups: what package config says of equal priorities, in sync groups and of two address owners, is not said twice.
func TestEqualInGroups(t *testing.T) {
	const file = `version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
vrrp_instances:
  - {name: one, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100]}
  - {name: two, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101]}
  - {name: owned, interface: eth0, virtual_router_id: 53, virtual_addresses: [10.77.0.102], priority: 255}
  - {name: alone, interface: eth0, virtual_router_id: 54, virtual_addresses: [10.77.0.103]}
sync_groups:
  - {name: site, instances: [one, two]}
  - {name: single, instances: [alone]}
`
	cfg, problems := config.Parse("f", []byte(file))
	if cfg == nil {
		t.Fatal(problems)
	}
	for _, said := range []string{"255 on both a and b", "one has the priority 100 on a and on b"} {
		if !strings.Contains(problems.String(), said) {
			t.Errorf("package config does not say %q: %s", said, problems)
		}
	}
	got := priority.Warnings(cfg)
	if len(got) != 1 || got[0].Line != 7 || got[0].Path != "vrrp_instances[3].priority" {
		t.Error(got)
	}
}

// TestPlaces: a warning is at the tracks that it is about, those of the instance, of one director, or of the sync group.
func TestPlaces(t *testing.T) {
	const file = `version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
tracks: [{name: net, type: gateway, targets: [10.77.0.1], when: becoming_master, interval: 5s}, {name: db, type: tcp, address: 127.0.0.1, port: 80}]
vrrp_instances:
  - {name: one, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100], per_node: {a: {priority: 150}}}
  - {name: two, interface: eth0, virtual_router_id: 52, virtual_addresses: [10.77.0.101], per_node: {a: {priority: 150}}}
  - name: three
    interface: eth0
    virtual_router_id: 53
    virtual_addresses: [10.77.0.102]
    per_node:
      a: {priority: 150, tracks: [net, {name: db, weight: -5}]}
sync_groups:
  - {name: site, instances: [one, two], tracks: [net]}
`
	cfg, problems := config.Parse("f", []byte(file))
	if cfg == nil {
		t.Fatal(problems)
	}
	var got []string
	for _, p := range priority.Warnings(cfg) {
		got = append(got, fmt.Sprintf("%d %s: %.12s", p.Line, p.Path, p.Message))
	}
	want := []string{
		"12 vrrp_instances[2].per_node.a.tracks: the weight -",
		"14 sync_groups[0].tracks: net finds a ",
		"12 vrrp_instances[2].per_node.a.tracks: net finds a ",
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
	cfg, problems := config.Parse("f", []byte(pair("preempt: false, tracks: ["+strings.Join(uses, ", ")+"]", track(names...))))
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
