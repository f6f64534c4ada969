package lab_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// TestAddresses: Addresses returns the same as ip(8) shows.
func TestAddresses(t *testing.T) {
	lab.Need(t)
	_, a, b := pair(t)
	a.Run("ip", "addr", "add", "10.77.0.100/32", "dev", "eth0", "valid_lft", "60", "preferred_lft", "60")
	a.Run("ip", "addr", "add", "10.9.0.1/32", "dev", "lo")
	a.Run("ip", "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
	b.Run("ip", "addr", "add", "10.77.0.100/32", "dev", "lo")
	var want []string
	for line := range strings.Lines(a.Run("ip", "-o", "addr")) {
		if words := strings.Fields(line); !strings.HasPrefix(words[3], "fe80:") {
			want = append(want, words[3])
		}
	}
	var got []string
	for _, p := range a.Addresses("") {
		got = append(got, p.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-ip +read:\n%s", diff)
	}
	if text := fmt.Sprint(a.Addresses("lo")); !strings.Contains(text, "10.9.0.1/32") || strings.Contains(text, "10.77") {
		t.Errorf("addresses of lo: %s", text)
	}
	if got := lab.Holders("10.77.0.100", a, b); !slices.Equal(got, []string{"alpha"}) {
		t.Errorf("holders %v, want alpha: beta has it on lo, as a real server", got)
	}
	if !b.HasAddress("10.77.0.100") || b.HasAddress("10.9.0.1") {
		t.Errorf("beta has %v", b.Addresses(""))
	}
}
