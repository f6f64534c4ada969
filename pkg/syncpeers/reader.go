package syncpeers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/connsync"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

const (
	// readWithin limits a reading. Kernels before 6.16 count from the beginning for each page, so that the time grows with the
	// square of the number of connections; a million would take hours.
	readWithin = 2 * time.Minute
	// hangsAfter is when a reading that has not ended by its limit hangs in the kernel.
	hangsAfter = readWithin + 5*time.Second
	// soon is for how long the loop waits for a reading: most take less, and then the others are told at once.
	soon = 20 * time.Millisecond
	// mostAgain limits the memory of what is sent again after one reading.
	mostAgain = 100000
)

// reader reads the connections, in a goroutine of its own: it can take a long time, and hang.
type reader struct {
	looking sync.Mutex     // guards table
	table   connsync.Table // of the goroutine that reads while busy, but for Told
	due     time.Time      // of the next reading
	pace    connsync.Pace  // of the reading that is running, or was last
	busy    bool           // the last one has not ended
	begun   time.Time      // of the last one
	took    time.Duration  // the last one that has ended
	ended   chan outcome   // of the one that is running
	got     outcome

	role   Role                      // for which the rest counts
	last   connsync.Reading          // the last one that is valid; Number is 0 if there is none
	again  []lvs.Connection          // what it found
	known  map[lvs.Connection]Served // what it found, by endsOf
	failed error                     // why the last one failed; nil if it did not
}

// outcome is what a reading has found.
type outcome struct {
	of      Role
	reading connsync.Reading
	again   []lvs.Connection
	known   map[lvs.Connection]Served
	err     error
}

// endsOf is what the connections between a virtual server and a real server have in common.
func endsOf(c lvs.Connection) lvs.Connection {
	c.Client = netip.AddrPort{}
	return c
}

// forget drops what was read: it was another role's. The next reading is due, but takes at most half of the time.
func (r *reader) forget() {
	r.last, r.again, r.known, r.failed = connsync.Reading{}, nil, nil, nil
	r.due = r.begun.Add(max(connsync.ReadEvery, 2*r.took))
}

// counted reports whether a reading is valid.
func (r *reader) counted() bool { return r.last.Number != 0 }

// begin starts a reading. The one after it follows as pace says, once it is known how long this one took.
func (r *reader) begin(ctx context.Context, connections func(context.Context, func(lvs.Connection)) error, ask Ask, need connsync.Need, pace connsync.Pace) {
	pace.Took = r.took
	limit := min(int(pace.Every()/time.Second)*connsync.Rate, mostAgain)
	r.pace = pace
	r.busy, r.begun, r.ended = true, time.Now(), make(chan outcome, 1)
	begun, ended, role, table := r.begun, r.ended, r.role, &r.table
	locked := func(f func()) {
		r.looking.Lock()
		defer r.looking.Unlock()
		f()
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		o := outcome{of: role, known: map[lvs.Connection]Served{}}
		var pass *connsync.Look
		locked(func() { pass = table.Look(begun, need, limit) })
		lines := 0
		o.err = connections(ctx, func(c lvs.Connection) {
			lines++
			ends := endsOf(c)
			s, seen := o.known[ends]
			if !seen {
				s = ask.Served(ends)
				o.known[ends] = s
			}
			if s.Known {
				locked(func() { pass.Add(c, s.Held) })
			}
		})
		if errors.Is(o.err, context.DeadlineExceeded) {
			o.err = fmt.Errorf("the kernel takes longer than %s to list its connections: %d were read", readWithin, lines)
		}
		if o.err == nil {
			locked(func() { o.reading, o.again = pass.End(time.Now()) })
		}
		ended <- o
	}()
}

// await waits a moment for the reading that is running, and reports whether it has ended.
func (r *reader) await(ctx context.Context) bool {
	if !r.busy {
		return false
	}
	moment := time.NewTimer(time.Until(r.begun.Add(soon)))
	defer moment.Stop()
	select {
	case r.got = <-r.ended:
		return true
	default:
	}
	select {
	case r.got = <-r.ended:
		return true
	case <-moment.C:
	case <-ctx.Done():
	}
	return false
}

// take takes in the reading that has ended, unless it was another role's.
func (r *reader) take() {
	o := r.got
	r.busy, r.took = false, min(time.Since(r.begun), readWithin) // more while the kernel hung or the machine was suspended
	if o.of != r.role {
		r.forget()
		return
	}
	r.pace.Took = r.took
	r.due = r.begun.Add(r.pace.Every())
	r.last, r.again, r.known, r.failed = o.reading, o.again, o.known, o.err
}

// late says that a reading does not end; "" if that is not so.
func (r *reader) late(now time.Time) string {
	if !r.busy || now.Sub(r.begun) < hangsAfter {
		return ""
	}
	return fmt.Sprintf("the kernel has not answered for %s while its connections were listed", now.Sub(r.begun).Truncate(10*time.Second))
}
