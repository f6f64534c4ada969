package health_test

import (
	"testing"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestNoNetwork: fall results in a row without a way to the server say so of this director, and nothing of the server.
func TestNoNetwork(t *testing.T) {
	lost := health.Result{Code: health.NoNetwork, Class: health.Unknown, Cause: "mysql: no route"}
	stalled := health.Result{Code: health.Local, Class: health.Unknown, Cause: "mysql: stalled"}
	for _, tt := range []struct {
		name    string
		results []health.Result
		known   bool
		up      bool
		want    bool
	}{
		{"too few", []health.Result{good, lost}, true, true, false},
		{"enough", []health.Result{good, lost, lost}, true, true, true},
		{"an answer in between", []health.Result{good, lost, good, lost}, true, true, false},
		{"a refusal in between", []health.Result{good, lost, denied, lost}, true, true, false},
		{"no evidence in between", []health.Result{good, lost, stalled, lost}, true, true, true},
		{"an answer afterwards", []health.Result{good, lost, lost, lost, good}, true, true, false},
		{"from the start", []health.Result{lost, lost}, false, false, true},
		{"of a server that is down", []health.Result{refused, lost, lost}, true, false, true},
	} {
		s, _ := play(health.New(2, 2), tt.results...)
		v := health.All([]health.State{s})
		if v.Known != tt.known || v.Up != tt.up || v.NoNetwork != tt.want {
			t.Errorf("%s: %+v, want known %t, up %t, no network %t", tt.name, v, tt.known, tt.up, tt.want)
		}
		if edited := health.All([]health.State{health.Resume(3, 5, s)}); edited.NoNetwork != tt.want {
			t.Errorf("%s: after an edit of the check %t, want %t", tt.name, edited.NoNetwork, tt.want)
		}
		other, _ := play(health.New(1, 1), good)
		if both := health.All([]health.State{other, s}); both.NoNetwork != tt.want {
			t.Errorf("%s: beside another check %t, want %t", tt.name, both.NoNetwork, tt.want)
		}
	}
}
