package director

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/syncpeers"
)

// TestAwaitGiven: a stop does not wait for the last connections when it is in a hurry, and otherwise for a limited time.
func TestAwaitGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := syncpeers.New(syncpeers.Options{Log: slog.New(slog.DiscardHandler)})
		peers.Set(syncpeers.Wanted{ID: 51}, syncpeers.Ask{})
		peers.GiveWay("mysql") // which nobody sends: the loop is not running
		l := &loops{sync: &connectionSync{peers: peers}}
		patient, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		for _, want := range []time.Duration{givenWithin, 0} {
			begun := time.Now()
			l.awaitGiven(patient)
			if took := time.Since(begun); took != want {
				t.Errorf("waited %s, want %s", took, want)
			}
			cancel(errors.New("a second signal"))
		}
	})
}
