package main

import (
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A logPrinter prints the daemons' logs to the timeline as they are written.
type logPrinter struct {
	timeline *timeline

	mu      sync.Mutex
	sources []*logSource
	muted   bool
	stop    chan struct{}
	done    chan struct{}
}

type logSource struct {
	who     string
	daemon  *lab.Daemon
	printed int
}

const lookEvery = 40 * time.Millisecond

func newLogPrinter(timeline *timeline) *logPrinter {
	n := &logPrinter{timeline: timeline, stop: make(chan struct{}), done: make(chan struct{})}
	go n.listen()
	return n
}

// follow adds a daemon's log.
func (n *logPrinter) follow(who string, d *lab.Daemon) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sources = append(n.sources, &logSource{who: who, daemon: d})
}

// mute stops all further output.
func (n *logPrinter) mute() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.muted = true
}

// end prints what is left and stops.
func (n *logPrinter) end() {
	close(n.stop)
	<-n.done
}

func (n *logPrinter) listen() {
	defer close(n.done)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.flush()
		case <-n.stop:
			n.flush()
			return
		}
	}
}

// flush prints the new lines of all logs, ordered by time.
func (n *logPrinter) flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.muted {
		return
	}
	type entry struct {
		at        time.Time
		who, what string
	}
	var all []entry
	for _, s := range n.sources {
		lines := s.daemon.LogLines()
		for _, line := range lines[s.printed:] {
			if what := render(line.Text); what != "" {
				all = append(all, entry{line.At, s.who, what})
			}
		}
		s.printed = len(lines)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	for _, e := range all {
		n.timeline.at(e.at, e.who, e.what)
	}
}
