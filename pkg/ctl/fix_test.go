package ctl

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

// fakeSettings are kernel parameters; those without a value are read-only.
type fakeSettings map[string]string

func (f fakeSettings) Set(key, value string) (previous string, err error) {
	previous, known := f[key]
	if !known {
		return "", errors.New("set sysctl " + key + ": operation not permitted")
	}
	f[key] = value
	return previous, nil
}

func findingOf(code problem.Code, fix ...problem.Setting) finding {
	return finding{Node: "lvs-master", Role: "director", Problem: problem.Problem{Code: code, Subject: "mysql", Fix: fix}}
}

// TestFix: each setting is made once, and only those of the network.
func TestFix(t *testing.T) {
	kernel := fakeSettings{"net.ipv4.vs.drop_packet": "3", "kernel.core_pattern": "core"}
	d := diagnosis{Findings: []finding{
		findingOf("a", problem.Setting{Key: "net.ipv4.vs.drop_packet", Value: "0"}),
		findingOf("b", problem.Setting{Key: "net.ipv4.vs.drop_packet", Value: "0"}, problem.Setting{Key: "net/ipv4/conf/eth0.5/arp_ignore", Value: "1"}),
		findingOf("c", problem.Setting{Key: "kernel.core_pattern", Value: "0"}),
		findingOf("d", problem.Setting{Key: "net.core.x", Value: "|/tmp/program"}),
		findingOf("e"),
	}}
	var b strings.Builder
	printRepairs(&b, d.fix(kernel))
	const want = "FIXED a (director lvs-master): net.ipv4.vs.drop_packet was 3, is 0 until something sets it again: find that, or write it to /etc/sysctl.d\n" +
		"NOT FIXED b (director lvs-master): net/ipv4/conf/eth0.5/arp_ignore could not be set to 1: set sysctl net/ipv4/conf/eth0.5/arp_ignore: operation not permitted: run it as root, and in a container on the host\n" +
		"NOT FIXED c (director lvs-master): kernel.core_pattern could not be set to 0: it is not a number below net: run the command of the finding if you trust it\n" +
		"NOT FIXED d (director lvs-master): net.core.x could not be set to |/tmp/program: it is not a number below net: run the command of the finding if you trust it\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if kernel["net.ipv4.vs.drop_packet"] != "0" || kernel["kernel.core_pattern"] != "core" {
		t.Errorf("%v", kernel)
	}
}

// TestSettled: the diagnosis after a repair is made when the daemon has noticed it, or after fixSeen; other findings, and what
// could not be set, are not waited for.
func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lasts time.Duration // of the finding a
		done  []repair
		takes time.Duration
	}{
		{"noticed", 1200 * time.Millisecond, []repair{{Node: "lvs-master", Code: "a", Subject: "mysql"}}, 1500 * time.Millisecond},
		{"not noticed", time.Hour, []repair{{Node: "lvs-master", Code: "a", Subject: "mysql"}}, fixSeen},
		{"not set", time.Hour, []repair{{Node: "lvs-master", Code: "a", Subject: "mysql", Error: "read-only"}}, 0},
		{"another machine's", time.Hour, []repair{{Node: "lvs-backup", Code: "a", Subject: "mysql"}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				d := settled(t.Context(), tt.done, func() *diagnosis {
					d := &diagnosis{Findings: []finding{findingOf("b")}}
					if time.Since(begun) < tt.lasts {
						d.Findings = append(d.Findings, findingOf("a"))
					}
					return d
				})
				if took := time.Since(begun); took != tt.takes || len(d.Fixed) != 1 {
					t.Errorf("after %s, want %s: %+v", took, tt.takes, d)
				}
			})
		})
	}
}
