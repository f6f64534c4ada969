package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
)

func TestParse(t *testing.T) {
	t.Setenv("LVS_LAB_OUT", "")
	const memory, limit = guest.DefaultMemory, 8 * time.Minute
	for _, tt := range []struct {
		args string
		want flags
	}{
		{"-- true", flags{kernel: "uml", speed: 1, hurry: 1, memory: memory, timeout: limit, command: []string{"true"}}},
		{"-t 5s -mem 256 -out d sh -c -t", flags{kernel: "uml", speed: 1, hurry: 1, memory: 256, timeout: 5 * time.Second, out: "d", command: []string{"sh", "-c", "-t"}}},
		{"-kernel debian -cpus 2 true", flags{kernel: "debian", cpus: 2, speed: 1, hurry: 1, memory: memory, timeout: limit, command: []string{"true"}}},
		{"-kernel debian -fetch", flags{fetch: true, kernel: "debian", speed: 1, hurry: 1, memory: memory, timeout: limit, command: []string{}}},
		{"-fetch", flags{fetch: true, kernel: "uml", speed: 1, hurry: 1, memory: memory, timeout: limit, command: []string{}}},
		{"-shell", flags{terminal: true, kernel: "uml", speed: 1, hurry: 1, memory: memory, command: []string{"/bin/bash", "--norc"}}},
		{"-it demo -shell", flags{terminal: true, kernel: "uml", speed: 1, hurry: 1, memory: memory, command: []string{"demo", "-shell"}}},
		{"x.test -test.timeout=15m0s", flags{kernel: "uml", speed: 1, hurry: 1, memory: memory, timeout: 15*time.Minute + 30*time.Second, command: []string{"x.test", "-test.timeout=15m0s"}}},
		{"x.test -test.timeout=0s", flags{kernel: "uml", speed: 1, hurry: 1, memory: memory, command: []string{"x.test", "-test.timeout=0s"}}},
		{"-t 1m x.test -test.timeout=15m0s", flags{kernel: "uml", speed: 1, hurry: 1, memory: memory, timeout: time.Minute, command: []string{"x.test", "-test.timeout=15m0s"}}},
	} {
		got, err := parse(strings.Fields(tt.args), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", tt.args, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(flags{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.args, diff)
		}
	}
	for _, args := range []string{"", "-t 5s", "-nonsense x", "-t soon x", "-kernel linux x", "-kernel linux -fetch", "-cpus many x"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestChooseHost(t *testing.T) {
	auto := guest.HostHasIPVS()
	for _, tt := range []struct {
		choice   string
		terminal bool
		want     bool
	}{{"", false, auto}, {"", true, false}, {"host", false, true}, {"host", true, false}, {"guest", false, false}} {
		if got, err := chooseHost(tt.choice, tt.terminal); err != nil || got != tt.want {
			t.Errorf("chooseHost(%q, %v) = %v, %v, want %v", tt.choice, tt.terminal, got, err, tt.want)
		}
	}
	if _, err := chooseHost("kvm", false); err == nil || !strings.Contains(err.Error(), "guest or host") {
		t.Errorf("error = %v, want one with a remedy", err)
	}
}

func TestPassed(t *testing.T) {
	got := passed([]string{"LVS_SEED=1", "LVS_LAB=guest", "LVS_LAB_OUT=x", "LVS_LAB_CACHE=c", "SECRET=y", "PATH=/bin", "CI=true", "HOME=/root", "GOFLAGS=-v"})
	if diff := cmp.Diff([]string{"LVS_SEED=1", "LVS_LAB_CACHE=c", "PATH=/bin", "CI=true"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestResultDirs(t *testing.T) {
	got := resultDirs([]string{"-test.v", "-test.coverprofile=/w/b001/_cover_.out", "-test.gocoverdir=/w/c", "-test.outputdir=", "-test.run=test.trace=/x"})
	if diff := cmp.Diff([]string{"/w/b001", "/w/c"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
