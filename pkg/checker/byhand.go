package checker

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// byHand are the checks that are being made by hand. The zero value is ready for use.
type byHand struct {
	mu      sync.Mutex
	running map[handCheck]struct{}
}

type handCheck struct {
	target netip.AddrPort
	check  config.Check
}

func (b *byHand) begin(h handCheck) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, is := b.running[h]; is {
		return false
	}
	if b.running == nil {
		b.running = map[handCheck]struct{}{}
	}
	b.running[h] = struct{}{}
	return true
}

func (b *byHand) end(h handCheck) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, h)
}

// Once makes a check now, apart from its schedule: the result changes no state. trace receives what is done. Once returns at the
// latest at the end of the check's time-out and grace, also if a disk hangs. The same check is not made twice at the same time,
// so that repeated calls do not add goroutines that hang; the error says that it is being made.
func (c *Checker) Once(ctx context.Context, e Explained, trace *probe.Trace) (health.Result, error) {
	this := handCheck{e.Target, e.Check}
	if !c.byHand.begin(this) {
		return health.Result{}, errors.New("this check is being made by another command: try again when that has ended; if it does not end, a disk hangs")
	}
	target := targetOf(e.Target, e.Check)
	target.Trace = trace
	begun, asking, done := time.Now(), new(atomic.Bool), make(chan health.Result, 1)
	go func() {
		defer c.byHand.end(this)
		done <- c.ask(ctx, target, e.Check.Timeout, asking)
	}()
	limit := time.NewTimer(e.Check.Timeout + grace)
	defer limit.Stop()
	select {
	case r := <-done:
		return r, nil
	case <-limit.C:
	case <-ctx.Done():
	}
	took := time.Since(begun).Round(10 * time.Millisecond)
	if !asking.Load() {
		return unread(e.Check, took), nil
	}
	return unanswered(e.Target, e.Check, took), nil
}
