package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// A demo is a running demo.
type demo struct {
	*cluster
	timeline *timeline
	mysql    *measure.Client // logins and SELECT @@hostname through the VIP
	probe    *measure.Client // plain connections to the probe service through the VIP, more often
	app      *session
	steps    []step
}

// A step is one thing that is done to the cluster, and what was expected of it.
type step struct {
	title    string
	run      func(*demo) []expectation
	outcomes []expectation
}

// maxWait limits every wait. It is much longer than any expected time; expectations are judged by the measured times.
const maxWait = 30 * time.Second

// Intervals of the clients. The guest has one slow CPU.
const (
	mysqlEvery = 125 * time.Millisecond
	probeEvery = 20 * time.Millisecond
)

func runDemo(t *labT, timeline *timeline, p programs) {
	printIntro(timeline)
	s := &demo{cluster: newCluster(t, timeline, p), timeline: timeline, steps: []step{
		{title: "two directors, two MariaDB servers, one VIP", run: (*demo).begin},
		{title: "mysqld on mysql2 is stopped", run: (*demo).stopMySQL},
		{title: "mysqld on mysql2 is started again", run: (*demo).startMySQL},
		{title: "the cable of lvs-master, the MASTER, is cut", run: (*demo).cutCable},
		{title: "the cable is plugged in again", run: (*demo).plugCable},
		{title: "the director on lvs-master is stopped", run: (*demo).stopDirector},
		{title: "the director on lvs-master is started again", run: (*demo).startDirector},
		{title: "the director on lvs-master is killed by kill -9", run: (*demo).killDirector},
		{title: "the director on lvs-master is started once more", run: (*demo).startDirector},
	}}
	for i := range s.steps {
		a := &s.steps[i]
		timeline.heading(i, a.title)
		a.outcomes = a.run(s)
		s.logs.flush()
		for _, e := range a.outcomes {
			timeline.judge(e)
			if !e.met {
				t.fail()
			}
		}
	}
	s.printSummary()
}

func printIntro(timeline *timeline) {
	where := "in a guest kernel, Linux " + kernel() + "; the host machine is not touched"
	if os.Getenv("LVS_LAB_INSIDE") == "host" {
		where = "in separate network namespaces, on Linux " + kernel()
	}
	p := timeline.paint
	timeline.print(
		p.in(bold, "lvs-director: two directors and two MySQL servers behind one virtual address (VIP)"),
		"Everything runs "+where+".",
		"",
		"   client 10.77.0.50 ──► VIP 10.77.0.100:3306   SELECT @@hostname, "+perSecond(mysqlEvery)+" logins a second",
		"                         VIP 10.77.0.100:7      a probe service, "+perSecond(probeEvery)+" connections a second",
		"      lvs-master 10.77.0.2   priority 150   the MASTER of VRRP (1 s adverts) has the VIP; both check",
		"      lvs-backup 10.77.0.3   priority 100   both servers every second and keep the same table",
		"         mysql1 10.77.0.11   weight 3       MariaDB, each a replica of the other; the VIP is on lo,",
		"         mysql2 10.77.0.12   weight 1       and they answer the client directly (DR)",
	)
}

func perSecond(every time.Duration) string { return fmt.Sprint(int(time.Second / every)) }

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "?"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// since returns a client's result from an event on, including a few answers after everything that has happened.
func (s *demo) since(m *measure.Client, event time.Time) measure.Result {
	m.WaitAnswered("", maxWait)
	time.Sleep(settle)
	// The newest attempts may not have ended.
	return m.Attempts().Since(event).Until(time.Now().Add(-settle / 2))
}

const settle = 300 * time.Millisecond

// printSummary prints a line for each step, and the expectations that were not met.
func (s *demo) printSummary() {
	all := s.mysql.Stop()
	s.probe.Stop()
	s.logs.flush()
	p := s.timeline.paint
	s.timeline.print("", p.in(bold, "   "+pad("what was done", 50)+pad("client's outage", 17)+pad("expected", 17)+"met"))
	total, met := 0, 0
	var broken []expectation
	for i, a := range s.steps {
		good, figure := 0, expectation{got: "-", limit: "-"}
		for _, e := range a.outcomes {
			total++
			if e.met {
				good++
			} else {
				broken = append(broken, e)
			}
			if e.headline {
				figure = e
			}
		}
		met += good
		text := fmt.Sprintf("%d  %s%s%s%d of %d %s", i, pad(a.title, 50), pad(figure.got, 17), pad(figure.limit, 17),
			good, len(a.outcomes), s.timeline.mark(good == len(a.outcomes)))
		s.timeline.print(text)
	}
	s.timeline.print(append([]string{""}, wrap("The client made "+queries(all)+".", width)...)...)
	for _, e := range broken {
		s.timeline.judge(e)
	}
	text := fmt.Sprintf("%d of %d expectations met, after %.0f s.", met, total, time.Since(s.timeline.start).Seconds())
	if met < total {
		s.timeline.print(p.in(red, text))
		return
	}
	s.timeline.print(p.in(green, text))
}
