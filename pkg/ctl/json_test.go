package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestJSONOfEveryVerb: with -o json every verb prints JSON only, its errors included, with the same exit codes.
func TestJSONOfEveryVerb(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	goodFile, badFile := write("good.yaml", good), write("bad.yaml", strings.Replace(good, "virtual_router_id", "virtual_routr_id", 1))
	var refuse error
	ill := healthy()
	ill.ProblemDetails = []problem.Problem{{Code: problem.VirtualServerDown, Severity: problem.Critical, Text: "mysql: no real server is up"}}
	j := keeping(t, t.TempDir())
	j.Record(failover()[0])
	socket := serve(t, api.Handlers{
		Status: func() any { return ill }, Reload: func(context.Context, bool, string) error { return refuse }, Events: j,
		Record: func(string) (string, error) { return "params vrid=51\n", nil },
	})
	for _, tt := range []struct {
		args        string
		code        int
		out, errors string // parts of the compact JSON; "" for nothing
	}{
		{"version", 0, `{"version":"`, ""},
		{"schema", 0, `"$schema":`, ""},
		{"status", 0, `"node":"lvs-master"`, ""},
		{"status --check", 2, `{"state":"CRITICAL","exit_code":2,"text":"mysql: no real server is up","problems":[{"code":"virtual_server_down"`, ""},
		{"status --check --socket /nonexistent/s", 3, `{"state":"UNKNOWN","exit_code":3,"text":"socket /nonexistent/s: no daemon answers`, ""},
		{"status --socket /nonexistent/s", 1, "", `{"error":"lvsctl: status: socket /nonexistent/s: no daemon answers: `},
		{"events", 0, `"kind":"instance_state"`, ""},
		{"reload", 0, `{"reloaded":true}`, ""},
		{"vrrp record", 0, `{"instance":"","record":"paramsvrid=51\n"}`, ""},
		{"check " + goodFile, 0, `"valid":true,"exit_code":0,"summary":"`, ""},
		{"check " + badFile, 2, `"valid":false,"exit_code":2,"problems":[{"line":6,"column":`, ""},
		{"check /nonexistent/f", 2, "", `{"error":"lvsctl: cluster file: open /nonexistent/f: `},
		{"nonsense", 2, "", `{"error":"lvsctl: unknown command`},
		{"status --nope", 2, "", `{"error":"lvsctl: unknown flag: --nope","exit_code":2}`},
		{"status --check --nope", 3, "", `"exit_code":3}`},
		{"vrrp", 2, "", `{"error":"lvsctl: want a verb`},
	} {
		for _, format := range []string{"-o json", "-ojson", "--output=json"} {
			args := append([]string{"--socket", socket}, strings.Fields(tt.args)...)
			code, out, errors := lvsctl(t, append(args, strings.Fields(format)...)...)
			if code != tt.code || !isJSONWith(out, tt.out) || !isJSONWith(errors, tt.errors) {
				t.Errorf("%s %s: exit %d\n%s%s\nwant %d\n%s%s", tt.args, format, code, out, errors, tt.code, tt.out, tt.errors)
			}
		}
	}
	refuse = errors.New("the director is stopping")
	if code, _, err := lvsctl(t, "--socket", socket, "-o", "yaml", "reload"); code != 1 || err != "error: 'lvsctl: reload: the director is stopping'\nexit_code: 1\n" {
		t.Errorf("as YAML: exit %d, %q", code, err)
	}
}

// isJSONWith reports whether a text is JSON that has a part, ignoring spaces; or nothing if the part is "".
func isJSONWith(text, part string) bool {
	if part == "" {
		return text == ""
	}
	var document bytes.Buffer
	if json.Compact(&document, []byte(text)) != nil {
		return false
	}
	squeeze := strings.NewReplacer(" ", "").Replace
	return strings.Contains(squeeze(document.String()), squeeze(part))
}

// TestCheckReadsStdin: with the limit of files, and positions.
func TestCheckReadsStdin(t *testing.T) {
	for _, tt := range []struct {
		input       string
		code        int
		out, errors string
	}{
		{good, 0, "stdin: ok: ", ""},
		{"version: 2\n", 2, "", "stdin:1:10: version: "},
		{strings.Repeat("#", config.MaxBytes+1), 2, "", "stdin:1:1: larger than 2 MiB"},
	} {
		var out, errors bytes.Buffer
		cmd := Command()
		cmd.SetIn(strings.NewReader(tt.input))
		cmd.SetOut(&out)
		cmd.SetErr(&errors)
		code := Main(t.Context(), cmd, []string{"check", "-"})
		if code != tt.code || !strings.HasPrefix(out.String(), tt.out) || !strings.HasPrefix(errors.String(), tt.errors) || tt.errors == "" && errors.Len() > 0 {
			t.Errorf("%.20q: exit %d, %q, %q; want %+v", tt.input, code, out.String(), errors.String(), tt)
		}
	}
	if code, _, err := lvsctl(t, "check", "a", "b"); code != 2 || !strings.Contains(err, "one argument at most") {
		t.Errorf("two files: exit %d, %q", code, err)
	}
	if _, err := os.Stat("/etc/lvs-director/cluster.yaml"); err == nil {
		return // of this machine
	}
	if code, _, err := lvsctl(t, "check"); code != 2 || !strings.Contains(err, "/etc/lvs-director/cluster.yaml") {
		t.Errorf("the default file: exit %d, %q", code, err)
	}
}

func TestCompletion(t *testing.T) {
	for args, want := range map[string]string{
		"status -o ": "table\njson\nyaml\n", "-o ": "table\njson\nyaml\n", "status ": "", "events --since ": "",
	} {
		code, out, _ := lvsctl(t, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if code != 0 || out != want+":4\n" {
			t.Errorf("%q: exit %d, %q; want %q and no files", args, code, out, want)
		}
	}
}

// TestHandedOver: the table says once that an instance stays out, and how that ends.
func TestHandedOver(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	out := status.Instance{Name: "mysql", State: "BACKUP", HandedOverSince: &since}
	if got, want := handedOver(out), "; preempts nobody since 2026-01-02 03:04:05, until `lvsctl failover mysql --release`"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, i := range []status.Instance{{Name: "mysql", State: "BACKUP"}, {Name: "mysql", State: "MASTER", HandedOverSince: &since}} {
		if got := handedOver(i); got != "" {
			t.Errorf("%+v: %q", i, got)
		}
	}
}
