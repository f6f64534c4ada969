package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// lvsctl runs the command like main.
func lvsctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := Command()
	cmd.SetOut(&out)
	cmd.SetErr(&err)
	return Main(t.Context(), cmd, args), out.String(), err.String()
}

// serve serves h like a daemon and returns the socket.
func serve(t *testing.T, h api.Handlers) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := api.Listen(socket, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- api.Serve(ctx, listener, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return socket
}

func healthy() status.Director {
	return status.Director{
		Head: status.Head{Node: "lvs-master", Role: "director", Version: "1", ConfigDigest: "sha256:0123456789abcdef", ProblemDetails: []problem.Problem{}},
		Instances: []status.Instance{{
			Name: "mysql", State: "MASTER", Reason: "MASTER: alone", Since: time.Now().Add(-90 * time.Second), Priority: 150,
			EffectivePriority: 150, VirtualRouterID: 51, Interface: "eth0", VirtualAddresses: []string{"10.77.0.100/32"},
		}},
		VirtualServers: []status.VirtualServer{{
			Name: "mysql", Address: "10.77.0.100", Port: 3306, Protocol: "tcp", Scheduler: "wrr", Forward: "dr", State: "up",
			Reason: "all 1 real servers are up",
			RealServers: []status.RealServer{{
				Name: "mysql1", Address: "10.77.0.11", Port: 3306, State: "up", Code: "ok", Weight: 0, ConfiguredWeight: 3,
				Reason: "up: mysql: answered in 3ms", ActiveConnections: 7,
			}},
		}},
	}
}

func TestRecord(t *testing.T) {
	socket := serve(t, api.Handlers{Record: func(instance string) (string, error) {
		if instance == "nosuch" {
			return "", errors.New("no VRRP instance nosuch here: there is mysql")
		}
		return "# instance mysql" + instance + "\nparams vrid=51\n", nil
	}})
	for _, tt := range []struct {
		args        []string
		code        int
		out, errors string
	}{
		{nil, 0, "# instance mysql\nparams vrid=51\n", ""},
		{[]string{"2"}, 0, "# instance mysql2\nparams vrid=51\n", ""},
		{[]string{"nosuch"}, 1, "", "lvsctl: vrrp record: no VRRP instance nosuch here: there is mysql\n"},
		{[]string{"a", "b"}, 2, "", "lvsctl: want one argument at most: the name of an instance\n"},
	} {
		code, out, errors := lvsctl(t, append([]string{"--socket", socket, "vrrp", "record"}, tt.args...)...)
		if code != tt.code || out != tt.out || errors != tt.errors {
			t.Errorf("%v: exit %d, %q, %q; want %+v", tt.args, code, out, errors, tt)
		}
	}
	if code, _, errors := lvsctl(t, "vrrp"); code != 2 || !strings.Contains(errors, "lvsctl vrrp record") {
		t.Errorf("without a verb: exit %d, %q", code, errors)
	}
}

func TestStatusTable(t *testing.T) {
	socket := serve(t, api.Handlers{Status: func() any { return healthy() }})
	code, out, err := lvsctl(t, "--socket", socket, "status")
	if code != 0 || err != "" {
		t.Fatalf("exit %d, stderr %q", code, err)
	}
	for _, want := range []string{"lvs-master: director", "mysql  ", "MASTER  1m", "0 of 3", "10.77.0.11:3306", "answered in 3ms"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	socket = serve(t, api.Handlers{Status: func() any {
		s := healthy()
		s.VirtualServers[0].Address, s.VirtualServers[0].RealServers[0].Address = "fd00::100", "fd00::11"
		return s
	}})
	_, out, _ = lvsctl(t, "--socket", socket, "status")
	for _, want := range []string{" tcp [fd00::100]:3306 ", " [fd00::11]:3306 "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// Each problem is printed with its severity, its code and its remedy. A daemon without problem codes has only texts.
func TestStatusTableShowsRemedies(t *testing.T) {
	for _, tt := range []struct {
		head status.Head
		want string
	}{
		{status.Head{
			Problems: []string{"tunl0 does not exist", "explained by it"},
			ProblemDetails: []problem.Problem{{
				Code: "device_missing", Severity: problem.Critical, Text: "tunl0 does not exist", Remedy: "run modprobe ipip", Since: time.Now().Add(-5*time.Minute - time.Second),
			}},
		}, "\nPROBLEM: tunl0 does not exist\n  CRITICAL device_missing for 5m. To do: run modprobe ipip\n\n"},
		{status.Head{Problems: []string{"no tunl0", "no lo"}}, "\nPROBLEM: no tunl0\nPROBLEM: no lo\n\n"},
		{status.Head{ProblemDetails: []problem.Problem{}}, ""},
	} {
		for _, role := range []string{"director", "realserver"} {
			tt.head.Role = role
			socket := serve(t, api.Handlers{Status: func() any {
				if role == "director" {
					return status.Director{Head: tt.head, Instances: []status.Instance{{Name: "mysql"}}}
				}
				return status.Agent{Head: tt.head}
			}})
			code, out, _ := lvsctl(t, "--socket", socket, "status")
			if code != 0 || !strings.Contains(out, tt.want) || tt.want == "" && strings.Contains(out, "PROBLEM:") {
				t.Errorf("%s: exit %d, %q is missing in\n%s", role, code, tt.want, out)
			}
		}
	}
}

// The field names that scripts rely on.
func TestStatusJSONHasTheNamesOfTheContract(t *testing.T) {
	socket := serve(t, api.Handlers{Status: func() any { return healthy() }})
	_, out, _ := lvsctl(t, "--socket", socket, "-o", "json", "status")
	var got map[string]any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	has := func(where string, m any, names ...string) {
		for _, name := range names {
			if _, ok := m.(map[string]any)[name]; !ok {
				t.Errorf("%s has no %s", where, name)
			}
		}
	}
	first := func(m any, name string) any { return m.(map[string]any)[name].([]any)[0] }
	has("the document", got, "node", "role", "version", "config_digest", "vrrp_instances", "virtual_servers")
	has("an instance", first(got, "vrrp_instances"), "name", "state", "reason", "since", "priority", "effective_priority",
		"virtual_router_id", "interface", "virtual_addresses")
	server := first(got, "virtual_servers")
	has("a virtual server", server, "name", "address", "port", "protocol", "scheduler", "forward", "state", "real_servers")
	has("a real server", first(server, "real_servers"), "name", "address", "port", "state", "code", "weight",
		"configured_weight", "reason", "since", "active_connections", "inactive_connections")
}

func TestStatusYAMLKeepsTheOrder(t *testing.T) {
	socket := serve(t, api.Handlers{Status: func() any { return healthy() }})
	_, out, _ := lvsctl(t, "--socket", socket, "-o", "yaml", "status")
	if !strings.HasPrefix(out, "node: lvs-master\nrole: director\n") {
		t.Errorf("got\n%s", out)
	}
}

func TestStatusCheckHasPluginExitCodes(t *testing.T) {
	with := func(severities ...problem.Severity) status.Director {
		s := healthy()
		for _, severity := range severities {
			s.ProblemDetails = append(s.ProblemDetails, problem.Problem{Severity: severity, Text: "mysql: " + string(severity)})
		}
		return s
	}
	// The prose in the document is ignored.
	prose := healthy()
	prose.Instances[0].State, prose.Instances[0].Reason, prose.Problems = "FAULT", "FAULT: eth0 has no carrier", []string{"no VRRP socket on eth0"}
	prose.VirtualServers[0].State, prose.VirtualServers[0].RealServers[0].Code = "down", "auth"
	older, electing, balancing := healthy(), healthy(), healthy()
	older.ProblemDetails, electing.VirtualServers, balancing.Instances = nil, nil, nil
	suspended := healthy()
	suspended.VirtualServers = append(suspended.VirtualServers, status.VirtualServer{Name: "web", State: "down", ChecksSuspended: true})
	balancing.VirtualServers = append(balancing.VirtualServers, status.VirtualServer{Name: "web"})
	for _, c := range []struct {
		name string
		s    any
		code int
		line string
	}{
		{"ok", healthy(), 0, "OK: lvs-master: mysql MASTER; 1 virtual server up\n"},
		{"a warning", with(problem.Warning), 1, "WARNING: mysql: WARNING\n"},
		{"critical beside a warning", with(problem.Critical, problem.Warning), 2, "CRITICAL: mysql: CRITICAL; mysql: WARNING\n"},
		{"of a newer version", with("EMERGENCY"), 2, "CRITICAL: mysql: EMERGENCY\n"},
		{"not checked", suspended, 0, "OK: lvs-master: mysql MASTER; 1 virtual server up; 1 virtual server not checked (ha_suspend)\n"},
		{"only prose", prose, 0, "OK: lvs-master: mysql FAULT; 1 virtual server up\n"},
		{"elections only", electing, 0, "OK: lvs-master: mysql MASTER\n"},
		{"no elections", balancing, 0, "OK: lvs-master: 2 virtual servers up\n"},
		{"of an older version", older, 3, "UNKNOWN: lvs-master: the daemon is of an older version"},
		{"not understood", []string{}, 3, "UNKNOWN: the daemon's answer is not understood"},
		{"agent", status.Agent{Head: status.Head{Role: "realserver", Node: "mysql1", ProblemDetails: []problem.Problem{}}}, 0, "OK: mysql1: ready for 0 virtual servers\n"},
	} {
		socket := serve(t, api.Handlers{Status: func() any { return c.s }})
		if code, out, _ := lvsctl(t, "--socket", socket, "status", "--check"); code != c.code || !strings.HasPrefix(out, c.line) {
			t.Errorf("%s: exit %d, %q; want %d, %q", c.name, code, out, c.code, c.line)
		}
	}
	if code, out, _ := lvsctl(t, "--socket", "/nonexistent/s", "status", "--check"); code != 3 || !strings.HasPrefix(out, "UNKNOWN: ") {
		t.Errorf("no daemon: exit %d, %q; want 3, UNKNOWN", code, out)
	}
}

func TestReload(t *testing.T) {
	var refuse error
	socket := serve(t, api.Handlers{Reload: func(context.Context, bool, string) error { return refuse }})
	if code, out, err := lvsctl(t, "--socket", socket, "reload"); code != 0 || out != "reloaded\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, out, err)
	}
	refuse = &clusterfile.InvalidError{Problems: config.Problems{
		{File: "cluster.yaml", Line: 3, Column: 1, Path: "x", Message: "unknown key"},
		{File: "cluster.yaml", Line: 4, Column: 1, Path: "y", Message: "unknown key"},
	}}
	code, _, err := lvsctl(t, "--socket", socket, "reload")
	if code != 2 || !strings.Contains(err, refuse.Error()) {
		t.Errorf("an invalid file: exit %d, stderr %q; want 2 and both problems", code, err)
	}
	refuse = errors.New("the director is stopping")
	if code, _, err := lvsctl(t, "--socket", socket, "reload"); code != 1 || !strings.Contains(err, refuse.Error()) {
		t.Errorf("another failure: exit %d, stderr %q; want 1", code, err)
	}
}

func TestNoDaemonIsOneSentenceWithTheRemedy(t *testing.T) {
	code, _, err := lvsctl(t, "--socket", filepath.Join(t.TempDir(), "s"), "status")
	if code != 1 || strings.Count(err, "\n") != 1 || !strings.Contains(err, "is lvs-director") {
		t.Errorf("exit %d, stderr %q", code, err)
	}
}

const good = `version: 1
directors:
  - {name: lvs-master, address: 10.77.0.2}
  - {name: lvs-backup, address: 10.77.0.3}
vrrp_instances:
  - {name: mysql, interface: eth0, virtual_router_id: 51, virtual_addresses: [10.77.0.100/32], per_node: {lvs-master: {priority: 150}}}
`

func TestCheck(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if code, out, err := lvsctl(t, "check", file(good)); code != 0 || strings.Count(out, "\n") != 1 || err != "" {
		t.Errorf("a good file: exit %d, stdout %q, stderr %q", code, out, err)
	}
	path := file(strings.Replace(good, "virtual_router_id", "virtual_routr_id", 1))
	code, out, err := lvsctl(t, "check", path)
	if code != 2 || out != "" || !strings.HasPrefix(err, path+":6:") {
		t.Errorf("a bad file: exit %d, stdout %q, stderr %q", code, out, err)
	}
	for _, line := range strings.Split(strings.TrimSpace(err), "\n") {
		if !strings.HasPrefix(line, path+":") {
			t.Errorf("a line without a position: %q", line)
		}
	}
	if code, _, err := lvsctl(t, "check", filepath.Join(t.TempDir(), "none")); code != 2 || !strings.Contains(err, "no such file") {
		t.Errorf("a missing file: exit %d, stderr %q", code, err)
	}
}

// TestExplain: check names weights that never decide, and --explain prints who is MASTER.
func TestExplain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	const text = `version: 1
directors: [{name: a, address: 10.77.0.2}, {name: b, address: 10.77.0.3}]
vrrp_instances:
- {name: i, interface: eth0, virtual_router_id: 51, preempt: false, virtual_addresses: [10.77.0.100], tracks: [{name: db, weight: -5}]}
tracks: [{name: db, type: tcp, address: 127.0.0.1, port: 22}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, err := lvsctl(t, "check", "--explain", path)
	if code != 0 || !strings.Contains(err, ":4:111: warning: vrrp_instances[0].tracks: the weight -5 of db never takes the virtual addresses from a") || !strings.Contains(out, "95 (db down)  100           a or b\n") {
		t.Errorf("exit %d, %s\n%s", code, err, out)
	}
	if code, _, _ := lvsctl(t, "check", "--strict", path); code != 2 {
		t.Errorf("--strict: exit %d, want 2", code)
	}
	if _, out, _ := lvsctl(t, "-o", "json", "check", "--explain", path); !strings.Contains(out, `"masters": "a or b"`) {
		t.Error(out)
	}
}

func TestWarningsFailOnlyWithStrict(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	text := good + `virtual_servers:
  - name: mysql
    address: 10.77.0.100
    port: 3306
    scheduler: rr
    forward: dr
    checks: [{type: tcp}]
    real_servers: [{name: mysql1, address: 10.77.0.11}]
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, err := lvsctl(t, "check", path); code != 0 || !strings.Contains(err, "warning: ") {
		t.Errorf("exit %d, stderr %q", code, err)
	}
	if code, _, _ := lvsctl(t, "check", "--strict", path); code != 2 {
		t.Errorf("--strict: exit %d, want 2", code)
	}
}

func TestWrongUsageIsExit2(t *testing.T) {
	for _, args := range [][]string{{"chek"}, {"check"}, {"status", "x"}, {"status", "--nope"}, {"-o", "xml", "version"}} {
		if code, _, err := lvsctl(t, args...); code != 2 || err == "" {
			t.Errorf("%v: exit %d, stderr %q; want 2 and a sentence", args, code, err)
		}
	}
	if code, out, _ := lvsctl(t, "version"); code != 0 || strings.TrimSpace(out) == "" {
		t.Errorf("version: exit %d, %q", code, out)
	}
}

func TestSchema(t *testing.T) {
	code, out, err := lvsctl(t, "schema")
	if code != 0 || err != "" || !json.Valid([]byte(out)) || !strings.Contains(out, `"virtual_router_id"`) {
		t.Errorf("exit %d, %q, %.200s", code, err, out)
	}
	if _, out, _ := lvsctl(t, "-o", "yaml", "schema"); !strings.Contains(out, "\ntitle: cluster file of lvs-director\n") {
		t.Errorf("as YAML: %.200s", out)
	}
	if code, _, err := lvsctl(t, "schema", "cluster.yaml"); code != 2 || !strings.Contains(err, "no arguments") {
		t.Errorf("exit %d, %q", code, err)
	}
}
