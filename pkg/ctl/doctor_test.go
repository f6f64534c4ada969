package ctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/bundle"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestDoctor: what is found of a daemon, and the same from the bundle of its machine.
func TestDoctor(t *testing.T) {
	with := func(found ...problem.Problem) api.Handlers {
		s := healthy()
		s.ProblemDetails = append(s.ProblemDetails, found...)
		return api.Handlers{Status: func() any { return s }, Events: keeping(t, t.TempDir())}
	}
	warning := problem.Problem{Code: problem.VirtualServerDegraded, Severity: problem.Warning, Text: "mysql: 1 of 2 real servers is up", Remedy: "repair it"}
	critical := problem.Problem{Code: problem.InstanceFault, Severity: problem.Critical, Text: "mysql: FAULT", Remedy: "ip link set eth0 up"}
	for _, tt := range []struct {
		name     string
		handlers api.Handlers
		code     int
		out      []string // parts, in this order
	}{
		{"healthy", with(), 0, []string{"OK: 0 findings; examined: director lvs-master\n"}},
		{"warning", with(warning), 1, []string{"WARNING virtual_server_degraded (director lvs-master, for -)\n  Found: mysql: 1 of 2 ", "  Means: some of its real servers", "  To do: repair it\n", "WARNING: 1 findings"}},
		{"critical", with(warning, critical), 2, []string{"CRITICAL instance_fault", "  To do: ip link set eth0 up\n", "WARNING virtual_", "CRITICAL: 2 findings"}},
		{"code of a newer version", with(problem.Problem{Code: "new", Severity: "WORSE", Text: "text"}), 2, []string{"WORSE new ", "Found: text\n  To do: ", "CRITICAL: 1 "}},
		{"older version", api.Handlers{Status: func() any { return status.Director{} }, Events: keeping(t, t.TempDir())}, 3, []string{"UNKNOWN: ", "of an older version", "UNKNOWN: 0 "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			socket, file := serve(t, tt.handlers), filepath.Join(t.TempDir(), "bundle.tar.gz")
			if code, out, err := lvsctl(t, "--socket", socket, "bundle", "--capture", "0s", "--file", file); code != 0 || err != "" || !strings.Contains(out, file+": ") {
				t.Fatalf("bundle: exit %d, %q, %q", code, out, err)
			}
			for _, args := range [][]string{{"--socket", socket, "doctor"}, {"doctor", "--bundle", file}} {
				code, out, err := lvsctl(t, args...)
				if code != tt.code || err != "" || !inThisOrder(out, tt.out) {
					t.Errorf("%v: exit %d, want %d; %s%s\nwant %q", args, code, tt.code, out, err, tt.out)
				}
				code, out, err = lvsctl(t, append(args, "-o", "json")...)
				if code != tt.code || err != "" || !isJSONWith(out, `{"state":"`) {
					t.Errorf("%v as JSON: exit %d, want %d; %s%s", args, code, tt.code, out, err)
				}
			}
			if code, _, err := lvsctl(t, "--socket", socket, "bundle", "--capture", "0s", "--file", file); code != 1 || !strings.Contains(err, "exists") {
				t.Errorf("a second time: exit %d, %q", code, err)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v %v", info, err)
			}
		})
	}
}

// inThisOrder reports whether a text has all parts, one behind the other.
func inThisOrder(text string, parts []string) bool {
	for _, part := range parts {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// TestDoctorUnknown: what cannot be examined is never in order.
func TestDoctorUnknown(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bundle.tar.gz")
	if code, out, _ := lvsctl(t, "--socket", "/nonexistent/s", "bundle", "--capture", "0s", "--file", file); code != 0 || !strings.Contains(out, "director/status.json: socket /nonexistent/s: no daemon answers") {
		t.Fatalf("exit %d, %s", code, out)
	}
	for _, args := range []string{"--socket /nonexistent/s doctor", "doctor --bundle " + file, "doctor --bundle " + text, "doctor --bundle /nonexistent/f", "doctor --nope"} {
		code, out, err := lvsctl(t, strings.Fields(args)...)
		if code != 3 || out+err == "" {
			t.Errorf("%s: exit %d, %q, %q; want 3", args, code, out, err)
		}
	}
}

// TestUnusable: with a file that cannot be used nobody knows whether a daemon is missing.
func TestUnusable(t *testing.T) {
	bad, usable := filepath.Join(t.TempDir(), "cluster.yaml"), filepath.Join(t.TempDir(), "cluster.yaml")
	if err := errors.Join(os.WriteFile(bad, []byte("version: 1\nnope: 1\n"), 0o600), os.WriteFile(usable, []byte(good), 0o600)); err != nil {
		t.Fatal(err)
	}
	if a, b, c := unusable(bad), unusable(usable), unusable("/nonexistent/f"); !strings.HasSuffix(a, " cannot be used; lvsctl check "+bad+" says why") || b+c != "" {
		t.Errorf("%q, %q, %q", a, b, c)
	}
}

func TestVisible(t *testing.T) {
	if got := visible("a\x1b[2Jb\u009bc\n\td"); got != "a\ufffd[2Jb\ufffdc\n\td" {
		t.Errorf("%q", got)
	}
}

// TestNewestLines: the lines that do not fit are the oldest, and how many they are is said.
func TestNewestLines(t *testing.T) {
	var l newestLines
	line := strings.Repeat("x", bundle.MaxPart/4-1)
	for i := range 6 {
		l.add([]byte(fmt.Sprint(i) + line[1:]))
	}
	if err := l.err(); len(l.text) != bundle.MaxPart || l.text[0] != '2' || err == nil || !strings.HasPrefix(err.Error(), "the oldest 2 lines are left out") {
		t.Errorf("%d bytes from %q, %v", len(l.text), l.text[:1], l.err())
	}
}

func TestModulesWithoutAddresses(t *testing.T) {
	got := modulesWithoutAddresses([]byte("ip_vs 155648 2 ip_vs_rr, Live 0xffffffffc0a1b000\nextra 1 0 - Live 0x0000000000000000 (OE)\n"))
	if string(got) != "ip_vs 155648 2 ip_vs_rr, Live\nextra 1 0 - Live (OE)\n" {
		t.Errorf("%q", got)
	}
}

// TestWanted: the daemons that are asked are those that run and those that should.
func TestWanted(t *testing.T) {
	cfg, problems := config.Parse("cluster.yaml", []byte(strings.Replace(good, "version: 1\n", "version: 1\nvirtual_servers: [{name: w, address: 10.77.0.100, port: 80, scheduler: rr, forward: dr, real_servers: [{name: web1, address: 10.77.0.11}, {name: lvs-backup, address: 10.77.0.3}]}]\n", 1)))
	if cfg == nil {
		t.Fatal(problems)
	}
	for _, tt := range []struct {
		node    string
		sockets string // "d", "a"
		cfg     *config.Config
		want    string
	}{
		{"lvs-master", "", cfg, "lvs-director"},
		{"web1", "", cfg, "lvs-realserver"},
		{"lvs-backup", "a", cfg, "lvs-director lvs-realserver"},
		{"lvs-master", "a", cfg, "lvs-director lvs-realserver"},
		{"elsewhere", "", cfg, "lvs-director"},
		{"web1", "", nil, "lvs-director"},
		{"web1", "a", nil, "lvs-realserver"},
		{"web1", "da", nil, "lvs-director lvs-realserver"},
	} {
		exists := func(path string) bool {
			return path == theDirector.socket && strings.Contains(tt.sockets, "d") || path == theAgent.socket && strings.Contains(tt.sockets, "a")
		}
		var units []string
		for _, l := range wanted(exists, tt.cfg, []string{tt.node}) {
			units = append(units, l.unit)
		}
		if got := strings.Join(units, " "); got != tt.want {
			t.Errorf("%s with %q: %s, want %s", tt.node, tt.sockets, got, tt.want)
		}
	}
}
