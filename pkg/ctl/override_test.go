package ctl

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
)

func TestPrintOverride(t *testing.T) {
	servers := []status.OverriddenServer{{Name: "mysql/a", ActiveConnections: 1}, {Name: "web/a", ActiveConnections: 3}}
	for _, tt := range []struct {
		name string
		r    status.OverrideRequest
		done status.OverrideResult
		want string
	}{
		{
			"drain",
			status.OverrideRequest{Target: "a", Kind: override.Drain},
			status.OverrideResult{Changed: true, Servers: servers, Others: []string{"b", "c"}},
			"mysql/a: draining, 1 connection is open\nweb/a: draining, 3 connections are open\nEach director decides for itself: run the same on b, c, too\n",
		},
		{
			"not saved",
			status.OverrideRequest{Target: "mysql/a", Kind: override.Weight, Weight: 3},
			status.OverrideResult{Changed: true, Servers: servers[:1], Unsaved: "full"},
			"mysql/a: weight 3\nnot saved, so that a restart of the daemon forgets it: full\n",
		},
		{"enabled, and was", status.OverrideRequest{Target: "a", Kind: override.Enable}, status.OverrideResult{Servers: servers}, "a is enabled, and was\n"},
		{"gone", status.OverrideRequest{Target: "a", Kind: override.Enable}, status.OverrideResult{Changed: true}, "a: enabled; the cluster file has no such real server\n"},
		{"disable", status.OverrideRequest{Target: "mysql/a", Kind: override.Disable}, status.OverrideResult{Changed: true, Servers: servers[:1]}, "mysql/a: disabled, 1 connection is cut\n"},
	} {
		var b strings.Builder
		printOverride(&b, tt.r, tt.done)
		if diff := cmp.Diff(tt.want, b.String()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// TestProgress: on a terminal one line with a bar, elsewhere a line for each change, and now and then.
func TestProgress(t *testing.T) {
	at := time.Unix(1000, 0)
	var b strings.Builder
	p := newProgress(&b)
	for n, open := range []int{3, 3, 1, 1} {
		p.show(open, at.Add(time.Duration(n)*20*time.Second))
	}
	p.end()
	if want := "3 connections are open\n1 connection is open\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	p.show(1, at.Add(90*time.Second))
	if !strings.HasSuffix(b.String(), "open\n1 connection is open\n1 connection is open\n") {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	p = &progress{w: &b, terminal: true, last: -1}
	for _, open := range []int{4, 2, 0} {
		p.show(open, at)
	}
	p.end()
	bar := func(done int) string {
		return "\r[" + strings.Repeat("#", done) + strings.Repeat(".", barWidth-done) + "] "
	}
	if want := bar(0) + "4 connections are open \x1b[K" + bar(barWidth/2) + "2 connections are open \x1b[K" + bar(barWidth) + "no connection is open \x1b[K\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestProgressOnTerminal: a terminal gets a bar; a file, a pipe and what is no file of the system get lines.
func TestProgressOnTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	in, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{terminal, file, in, pipe} {
		defer func() { _ = f.Close() }()
	}
	for name, tt := range map[string]struct {
		w   io.Writer
		bar bool
	}{"a terminal": {terminal, true}, "a file": {file, false}, "a pipe": {pipe, false}, "a buffer": {&strings.Builder{}, false}} {
		if got := newProgress(tt.w).terminal; got != tt.bar {
			t.Errorf("%s: a bar: %v, want %v", name, got, tt.bar)
		}
	}
}

// TestLook: a drain has ended when no server drains, and somebody else may have ended it.
func TestLook(t *testing.T) {
	since := time.Unix(1000, 0)
	server := func(name, state string, o *status.Override, open int) status.RealServer {
		return status.RealServer{Name: name, State: state, Override: o, ActiveConnections: open}
	}
	drains, later := &status.Override{Kind: "drain", Since: since}, &status.Override{Kind: "disable", Since: since.Add(time.Second)}
	for _, tt := range []struct {
		name     string
		servers  []status.RealServer
		open     int
		waiting  []string
		undoneBy string
	}{
		{"one of two", []status.RealServer{server("a", "draining", drains, 3), server("b", "disabled", drains, 0), server("c", "up", nil, 9)}, 3, []string{"mysql/a"}, ""},
		{"not in the table yet", []status.RealServer{server("a", "up", drains, 3), server("b", "kept", drains, 1)}, 4, []string{"mysql/a", "mysql/b"}, ""},
		{"its checks fail", []status.RealServer{server("a", "down", drains, 0), server("b", "disabled", drains, 0)}, 0, []string{"mysql/a"}, ""},
		{"both", []status.RealServer{server("a", "disabled", drains, 0), server("b", "disabled", drains, 0)}, 0, nil, ""},
		{"enabled", []status.RealServer{server("a", "up", nil, 3), server("b", "disabled", drains, 0)}, 0, nil, "mysql/a is not drained any more"},
		{"disabled", []status.RealServer{server("a", "disabled", later, 3), server("b", "disabled", drains, 0)}, 0, nil, "mysql/a is not drained any more"},
		{"renamed by a reload", []status.RealServer{server("a", "disabled", drains, 0), server("new", "draining", drains, 2)}, 0, nil, "no mysql/b any more"},
		{"no real servers any more", nil, 0, nil, "no mysql/a, mysql/b any more"},
	} {
		document, err := json.Marshal(status.Director{VirtualServers: []status.VirtualServer{{Name: "mysql", RealServers: tt.servers}}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := look(document, []string{"mysql/a", "mysql/b"}, since)
		if err != nil || s.open != tt.open || !cmp.Equal(s.waiting, tt.waiting) {
			t.Errorf("%s: %+v, %v", tt.name, s, err)
		}
		if err := s.undone(); (err != nil) != (tt.undoneBy != "") || err != nil && !strings.Contains(err.Error(), tt.undoneBy) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := look([]byte("{"), nil, since); err == nil {
		t.Error("half a document is accepted")
	}
}

// TestEarlyTimeout: a --timeout before drain is the other flag of that name.
func TestEarlyTimeout(t *testing.T) {
	for line, bad := range map[string]bool{
		"--timeout 4s drain a": true, "--timeout=4s --socket s drain a": true, "-o json --timeout 4s drain a": true, "-ojson --timeout 4s drain": true,
		"drain a --timeout 4s": false, "--timeout 4s status": false, "--timeout drain": false, "--socket drain --timeout 1s status": false, "": false, "--timeout": false,
	} {
		if err := earlyTimeout(strings.Fields(line)); (err != nil) != bad {
			t.Errorf("lvsctl %s: %v", line, err)
		}
	}
}
