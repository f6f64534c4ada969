package director

import (
	"context"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/election"
)

// givingWay is between the elections and the VIPs, and delays neither. When another director takes the VIPs of an instance over,
// that one is sent the connections that the kernel has not sent yet: at once, and again when the VIPs are given up.
type givingWay struct {
	election.Holder
	send func(config.InstanceID) // must not block

	mu       sync.Mutex // guards retained
	retained map[config.InstanceID]bool
}

func newGivingWay(to election.Holder, send func(config.InstanceID)) *givingWay {
	return &givingWay{Holder: to, send: send, retained: map[config.InstanceID]bool{}}
}

// Retain implements election.Holder.
func (g *givingWay) Retain(instance config.InstanceID, within time.Duration) {
	g.Holder.Retain(instance, within)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retained[instance] = true
	g.send(instance)
}

// Release implements election.Holder.
func (g *givingWay) Release(instance config.InstanceID) {
	g.Holder.Release(instance)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retained[instance] {
		delete(g.retained, instance)
		g.send(instance)
	}
}

// Acquire implements election.Holder.
func (g *givingWay) Acquire(instance config.InstanceID, silent bool) {
	g.Holder.Acquire(instance, silent)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.retained, instance)
}

// givenWithin limits how long a stop waits until the last connections have been sent.
const givenWithin = 500 * time.Millisecond

// awaitGiven waits until the other directors have been sent the connections of the instances that gave way, or until ctx ends.
func (l *loops) awaitGiven(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, givenWithin)
	defer cancel()
	l.sync.peers.AwaitGiven(ctx)
}
