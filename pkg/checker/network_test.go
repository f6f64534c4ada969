package checker

import (
	"context"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/health"
)

// TestNoNetworkIsBadForTracks: a director without a way to a real server knows nothing about it, but a track without a
// way is down after fall results, although both are the same check of the same address.
func TestNoNetworkIsBadForTracks(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, _ *diary) {
		const address = "10.77.0.1:80"
		server := spec("web/web1", address)
		track := spec("gateway", address)
		if server.CheckID(server.Checks[0]) == track.CheckID(track.Checks[0]) {
			t.Error("a track shares the check of a server")
		}
		c.Set([]Spec{server, track})
		pass(1500 * time.Millisecond)
		f.set(address, always(health.Result{Code: health.NoNetwork, Cause: "tcp: no route"}))
		pass(time.Second)
		if v := c.Verdict(track.Subject); !v.Up {
			t.Errorf("after one result: %+v", v)
		}
		pass(3 * time.Second)
		if v := c.Verdict(server.Subject); !v.Known || !v.Up || !v.NoNetwork || v.Code != health.NoNetwork {
			t.Errorf("the server: %+v", v)
		}
		if v := c.Verdict(track.Subject); !v.Known || v.Up || v.Code != health.NoNetwork {
			t.Errorf("the track: %+v", v)
		}
		f.set(address, always(good))
		pass(4 * time.Second)
		if v := c.Verdict(track.Subject); !v.Up || v.NoNetwork {
			t.Errorf("the track, later: %+v", v)
		}
	})
}

// TestAlternatingCausesAreLoggedRarely: an unplugged cable makes some probes time out and others fail at once.
func TestAlternatingCausesAreLoggedRarely(t *testing.T) {
	world(t, func(t *testing.T, c *Checker, f *farm, d *diary) {
		causes := []string{"no answer within 500ms", "no route to host"}
		n := 0
		f.set(one, func(context.Context) health.Result {
			n++
			return health.Result{Code: health.NoNetwork, Class: health.Unknown, Cause: causes[n%2]}
		})
		c.Set([]Spec{spec("web/web1", one)})
		pass(150 * time.Second)
		if warned := d.Count("level=WARN"); warned != 3 {
			t.Errorf("%d warnings in 150 s, want one a minute:\n%s", warned, d.String())
		}
	})
}
