package main

import (
	"sync"
	"time"
)

// A meter notices when this machine has no CPU for the demo, and so none for the daemons, which are ordinary processes
// of the same kernel: then what is measured says more about the machine than about the cluster.
type meter struct {
	mu     sync.Mutex
	stalls []stall
	stop   chan struct{}
	done   chan struct{}
}

// A stall is a time in which the meter should have run and did not.
type stall struct {
	from time.Time
	lost time.Duration
}

const (
	meterEvery = 10 * time.Millisecond
	unnoticed  = 50 * time.Millisecond // a wait for the CPU that any process has
)

func newMeter() *meter {
	m := &meter{stop: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m
}

func (m *meter) run() {
	defer close(m.done)
	for {
		slept := time.Now()
		select {
		case <-m.stop:
			return
		case <-time.After(meterEvery):
		}
		if lost := time.Since(slept) - meterEvery; lost > unnoticed {
			m.add(stall{from: slept, lost: lost})
		}
	}
}

func (m *meter) add(s stall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalls = append(m.stalls, s)
}

// end stops the meter.
func (m *meter) end() {
	close(m.stop)
	<-m.done
}

// lost is the time without CPU between two moments.
func (m *meter) lost(from, to time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	var sum time.Duration
	for _, s := range m.stalls {
		begin, end := s.from, s.from.Add(s.lost)
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}
