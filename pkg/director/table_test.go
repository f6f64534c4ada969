package director

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func TestElectionsWaitForTheTable(t *testing.T) {
	broken := errors.New("no such scheduler")
	for _, c := range []struct {
		name    string
		after   time.Duration // when it happens
		happens func(synced chan struct{}, fatal chan error, stop func())
		want    error
		waited  time.Duration
	}{
		{"it stands", time.Second, func(synced chan struct{}, _ chan error, _ func()) { close(synced) }, nil, time.Second},
		{"it can never stand", time.Second, func(_ chan struct{}, fatal chan error, _ func()) { fatal <- broken }, broken, time.Second},
		{"it is late", time.Minute, func(chan struct{}, chan error, func()) {}, nil, tableWithin},
		{"the daemon is stopped", time.Second, func(_ chan struct{}, _ chan error, stop func()) { stop() }, nil, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				synced, fatal := make(chan struct{}), make(chan error, 1)
				event := time.AfterFunc(c.after, func() { c.happens(synced, fatal, stop) })
				defer event.Stop()
				begin := time.Now()
				if err := awaitTable(ctx, synced, fatal, slog.New(slog.DiscardHandler)); !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if waited := time.Since(begin); waited != c.waited {
					t.Errorf("waited %s, want %s", waited, c.waited)
				}
			})
		})
	}
}
