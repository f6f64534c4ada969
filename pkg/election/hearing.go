package election

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Hearing waits until another machine is heard on a segment whose link has come up, and tells its instances. Then it ends.
type Hearing struct {
	link  *Link
	hear  Hear
	log   *slog.Logger
	ready task.Latch
}

// Hear asks the machines of a segment for an answer, and again each time that every has passed, and returns when it has received
// a packet of one; the error is that of ctx when it ends.
type Hear func(ctx context.Context, every time.Duration) error

const (
	// askOften is how often other machines are asked for an answer in the first askOftenFor, askSeldom how often then.
	askOften    = 250 * time.Millisecond
	askOftenFor = time.Minute
	askSeldom   = time.Second
	// silentFor is after how long a silent link is logged: most machines answer within milliseconds.
	silentFor = 2 * time.Second
)

// NewHearing returns a Hearing for a link of which Listen has returned true.
func NewHearing(l *Link, hear Hear) *Hearing { return &Hearing{link: l, hear: hear, log: l.log} }

// Name implements task.Task.
func (h *Hearing) Name() string { return "listening for other machines on " + h.link.on.String() }

// Ready is closed when it listens.
func (h *Hearing) Ready() <-chan struct{} { return h.ready.Ready() }

// Run listens until another machine is heard, or ctx ends. Where that cannot be found out, nobody must wait for it.
func (h *Hearing) Run(ctx context.Context) error {
	heart := heartbeat.From(ctx)
	defer heart.Stop()
	h.ready.Close()
	begun, logged := time.Now(), false
	for ctx.Err() == nil {
		heart.Beat()
		up, every := h.link.lastUp(), askOften
		silence := time.Since(begun)
		if silence >= askOftenFor {
			every = askSeldom
		}
		if silence >= silentFor && !logged {
			logged = true
			h.log.Warn("no packet of another machine has been received since the link came up")
		}
		limit, cancel := context.WithTimeout(ctx, heartbeat.Every)
		err := h.hear(limit, every)
		cancel()
		switch {
		case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
			continue
		case errors.Is(err, kernel.ErrNoInterface): // Listen is called again when it is back
			task.Pause(ctx, heartbeat.Every)
			continue
		case errors.Is(err, kernel.ErrNoNeighbours):
		case err != nil:
			h.log.Warn("cannot find out whether other machines are heard; not waiting for that", "error", err)
		case logged:
			h.log.Info("another machine is heard", "after", silence.Round(time.Millisecond).String())
		}
		if h.link.heard(up) {
			return nil
		}
	}
	return nil
}

// Listen notes that the link has come up: no other machine has been heard on it yet. It returns false if a Hearing that has not
// ended finds that out already.
func (l *Link) Listen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	already := l.listening
	l.listening, l.ups, l.upAt = true, l.ups+1, time.Now()
	return !already
}

// Listening reports whether no other machine has been heard since the link came up.
func (l *Link) Listening() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listening
}

// ListeningFor returns for how long no other machine has been heard since the link came up; 0 if one has.
func (l *Link) ListeningFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.listening {
		return 0
	}
	return max(time.Since(l.upAt), 1)
}

// lastUp counts how often the link has come up.
func (l *Link) lastUp() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ups
}

// heard tells the instances that another machine has been heard. It returns false if the link has come up once more since.
func (l *Link) heard(up uint64) bool {
	l.mu.Lock()
	if l.ups != up {
		l.mu.Unlock()
		return false
	}
	l.listening = false
	actors := slices.Collect(maps.Values(l.actors))
	l.mu.Unlock()
	for _, a := range actors {
		a.Tell(vrrp.Hearing{})
	}
	return true
}
