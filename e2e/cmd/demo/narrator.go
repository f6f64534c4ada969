package main

import (
	"slices"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A narrator tells what the daemons log, as it happens.
type narrator struct {
	story *story

	mu     sync.Mutex
	heard  []*listener
	hushed bool
	stop   chan struct{}
	done   chan struct{}
}

type listener struct {
	who    string
	daemon *lab.Daemon
	told   int
}

const lookEvery = 40 * time.Millisecond

func newNarrator(story *story) *narrator {
	n := &narrator{story: story, stop: make(chan struct{}), done: make(chan struct{})}
	go n.listen()
	return n
}

// follow adds a daemon.
func (n *narrator) follow(who string, d *lab.Daemon) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, &listener{who: who, daemon: d})
}

// hush makes it tell nothing any more.
func (n *narrator) hush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hushed = true
}

// end tells what is left and stops.
func (n *narrator) end() {
	close(n.stop)
	<-n.done
}

func (n *narrator) listen() {
	defer close(n.done)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.tell()
		case <-n.stop:
			n.tell()
			return
		}
	}
}

// tell prints what is new, in the order of time.
func (n *narrator) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hushed {
		return
	}
	type told struct {
		at        time.Time
		who, what string
	}
	var all []told
	for _, l := range n.heard {
		lines := l.daemon.LogLines()
		for _, line := range lines[l.told:] {
			if what := sentence(line.Text); what != "" {
				all = append(all, told{line.At, l.who, what})
			}
		}
		l.told = len(lines)
	}
	slices.SortStableFunc(all, func(a, b told) int { return a.at.Compare(b.at) })
	for _, t := range all {
		n.story.at(t.at, t.who, t.what)
	}
}
