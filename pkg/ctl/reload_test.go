package ctl

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func TestReloadForce(t *testing.T) {
	socket := serve(t, api.Handlers{Reload: func(_ context.Context, force bool, _ string) error {
		if !force {
			return errors.New("most would go")
		}
		return nil
	}})
	if code, out, err := lvsctl(t, "--socket", socket, "reload"); code != 1 || out != "" || err != "lvsctl: reload: most would go\n" {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
	if code, out, err := lvsctl(t, "--socket", socket, "reload", "--force"); code != 0 || out != "reloaded\n" || err != "" {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
}

func TestDiff(t *testing.T) {
	file := filepath.Join(t.TempDir(), "next.yaml")
	if err := os.WriteFile(file, []byte("version: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var name, data string
	doc := status.Difference{Changes: []string{}, AfterChecks: []string{}, Removed: []string{}}
	socket := serve(t, api.Handlers{Difference: func(_ context.Context, n string, d []byte) (status.Difference, error) {
		name, data = n, string(d)
		return doc, nil
	}})
	for _, tt := range []struct {
		args            []string
		doc             status.Difference
		name, data, out string
	}{
		{nil, doc, "", "", "# nothing changes in the IPVS table\n"},
		{[]string{file}, status.Difference{Changes: []string{"ipvsadm -D -t a"}, AfterChecks: []string{"ipvsadm -a b"}}, file, "version: 1", "ipvsadm -D -t a\n# when the checks of these real servers pass:\nipvsadm -a b\n"},
		{nil, status.Difference{Changes: []string{"ipvsadm -D -t a"}, RealServers: 4, Removed: []string{"a", "b", "c"}, NeedsForce: true}, "", "", "ipvsadm -D -t a\n# 3 of 4 real servers would go: lvsctl reload refuses that without --force\n"},
		{[]string{"-o", "json"}, doc, "", "", "{\n  \"changes\": [],\n  \"after_checks\": [],\n  \"real_servers\": 0,\n  \"removed\": [],\n  \"needs_force\": false\n}\n"},
	} {
		doc = tt.doc
		code, out, err := lvsctl(t, append([]string{"--socket", socket, "diff"}, tt.args...)...)
		if code != 0 || out != tt.out || name != tt.name || data != tt.data {
			t.Errorf("%v: exit %d, %q, %q, of %q %q", tt.args, code, out, err, name, data)
		}
	}
	if code, _, err := lvsctl(t, "--socket", socket, "diff", file+".none"); code != 2 || !strings.Contains(err, "no such file") {
		t.Errorf("no file: exit %d, %q", code, err)
	}
	if code, _, _ := lvsctl(t, "--socket", socket, "diff", "a", "b"); code != 2 {
		t.Errorf("two files: exit %d", code)
	}
}

func TestZero(t *testing.T) {
	t.Setenv("SUDO_USER", "")
	asked := ""
	socket := serve(t, api.Handlers{Zero: func(_ context.Context, name, author string) (status.Zeroed, error) {
		asked = name + " by " + author
		if name == "nope" {
			return status.Zeroed{}, errors.New(`there is no virtual server "nope"`)
		}
		return status.Zeroed{VirtualServers: []string{"mysql", "web"}}, nil
	}})
	for _, tt := range []struct {
		args       string
		code       int
		name       string
		out, error string
	}{
		{"zero", 0, "", "counters set to zero: mysql, web\n", ""},
		{"zero mysql -o yaml", 0, "mysql", "virtual_servers:\n  - mysql\n  - web\n", ""},
		{"zero nope", 1, "nope", "", "lvsctl: zero: there is no virtual server \"nope\"\n"},
		{"zero a b", 2, "", "", "lvsctl: want one argument at most: a virtual server\n"},
	} {
		asked = " by "
		code, out, err := lvsctl(t, append([]string{"--socket", socket}, strings.Fields(tt.args)...)...)
		if code != tt.code || out != tt.out || !strings.HasPrefix(err, tt.error) || !strings.HasPrefix(asked, tt.name+" by ") {
			t.Errorf("%s: exit %d, %q, %q, asked %q", tt.args, code, out, err, asked)
		}
	}
}

func TestTable(t *testing.T) {
	socket := serve(t, api.Handlers{Table: func(_ context.Context, foreign bool) (status.Table, error) {
		if foreign {
			return status.Table{Rules: []string{"-A -t a -s rr"}}, nil
		}
		return status.Table{Rules: []string{"-A -t a -s rr", "-A -t b -s rr"}}, nil
	}})
	if code, out, err := lvsctl(t, "--socket", socket, "table"); code != 0 || out != "-A -t a -s rr\n-A -t b -s rr\n" || err != "" {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
	if code, out, _ := lvsctl(t, "--socket", socket, "table", "--foreign", "-o", "yaml"); code != 0 || out != "rules:\n  - -A -t a -s rr\n" {
		t.Errorf("exit %d, %q", code, out)
	}
	agent := serve(t, api.Handlers{})
	for _, verb := range []string{"table", "diff", "zero"} {
		if code, _, err := lvsctl(t, "--socket", agent, verb); code != 1 || !strings.Contains(err, "this daemon is no director") {
			t.Errorf("%s of an agent: exit %d, %q", verb, code, err)
		}
	}
}
