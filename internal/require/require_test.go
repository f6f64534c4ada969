package require

import (
	"fmt"
	"strings"
	"testing"
)

// ended is a testing.TB that records how the test ends.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper()                       {}
func (e *ended) Fatal(args ...any)             { e.how = "fails: " + fmt.Sprint(args...) }
func (e *ended) Fatalf(f string, a ...any)     { e.how = "fails: " + fmt.Sprintf(f, a...) }
func (e *ended) Skipf(format string, a ...any) { e.how = "skipped: " + fmt.Sprintf(format, a...) }

func TestSkip(t *testing.T) {
	for _, tt := range []struct {
		required, want string
	}{
		{"", "skipped: no ipvs here: no /proc/net/ip_vs"},
		{"netns", "skipped: no ipvs here"},
		{"netns,ipvs", "fails: ipvs is required (LVS_REQUIRE=netns,ipvs): no /proc/net/ip_vs"},
		{"all", "fails: ipvs is required"},
		{"ipv", `fails: LVS_REQUIRE=ipv: unknown part "ipv": use some of [netns`},
		{"ipvs, netns", `unknown part " netns"`},
	} {
		t.Setenv(Variable, tt.required)
		e := &ended{TB: t}
		Skip(e, IPVS, "no %s", "/proc/net/ip_vs")
		if !strings.Contains(e.how, tt.want) {
			t.Errorf("LVS_REQUIRE=%q: the test %s; want %s", tt.required, e.how, tt.want)
		}
	}
}

func TestRequired(t *testing.T) {
	t.Setenv(Variable, "guest")
	if !Required(t, Guest) || Required(t, IPVS) {
		t.Errorf("guest: %v, ipvs: %v; want only the guest", Required(t, Guest), Required(t, IPVS))
	}
}

// TestSpoilable: a test that breaks the kernel never runs on the machine's own kernel.
func TestSpoilable(t *testing.T) {
	for inside, want := range map[string]string{"": "skipped", "host": "skipped", "guest": ""} {
		t.Setenv("LVS_LAB_INSIDE", inside)
		t.Setenv(Variable, "")
		e := &ended{TB: t}
		Spoilable(e, "unloads ip_vs")
		if !strings.HasPrefix(e.how, want) || (want == "") != (e.how == "") {
			t.Errorf("LVS_LAB_INSIDE=%q: the test %q; want %q", inside, e.how, want)
		}
	}
}
