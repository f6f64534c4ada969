package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab/measure"
)

// A show is the demo under way.
type show struct {
	*cluster
	story *story
	mysql *measure.Client // logins and SELECT @@hostname through the VIP
	pulse *measure.Client // light and dense: the pulse of the VIP
	app   *session
	acts  []act
}

// An act is one thing that is done to the cluster, and what was expected of it.
type act struct {
	title    string
	play     func(*show) []expectation
	outcomes []expectation
}

// patience bounds waits for what should have come long before; expectations are judged by what came, not by it.
const patience = 30 * time.Second

// How often the client asks. The guest has one slow CPU.
const (
	mysqlEvery = 125 * time.Millisecond
	pulseEvery = 20 * time.Millisecond
)

func play(t *stage, story *story, p programs) {
	opening(story)
	s := &show{cluster: newCluster(t, story, p), story: story, acts: []act{
		{title: "two directors, two MariaDB servers, one VIP", play: (*show).begin},
		{title: "mysqld on mysql2 is stopped", play: (*show).stopMySQL},
		{title: "mysqld on mysql2 is started again", play: (*show).startMySQL},
		{title: "the cable of lvs-master, the MASTER, is cut", play: (*show).cutCable},
		{title: "the cable is plugged in again", play: (*show).plugCable},
		{title: "the director on lvs-master is stopped", play: (*show).stopDirector},
		{title: "the director on lvs-master is started again", play: (*show).startDirector},
		{title: "the director on lvs-master is killed by kill -9", play: (*show).killDirector},
		{title: "the director on lvs-master is started once more", play: (*show).startDirector},
	}}
	for i := range s.acts {
		a := &s.acts[i]
		story.act(i, a.title)
		a.outcomes = a.play(s)
		s.narrator.tell()
		for _, e := range a.outcomes {
			story.judge(e)
			if !e.held {
				t.fail()
			}
		}
	}
	s.finale()
}

func opening(story *story) {
	where := "in a guest kernel, Linux " + kernel() + "; the machine around it is not touched"
	if os.Getenv("LVS_LAB_INSIDE") == "host" {
		where = "in network namespaces of their own, on Linux " + kernel()
	}
	p := story.paint
	story.print(
		p.in(bold, "lvs-director: two directors and two MySQL servers behind one virtual address (VIP)"),
		"All of this runs "+where+".",
		"",
		"   client 10.77.0.50 ──► VIP 10.77.0.100:3306   SELECT @@hostname, "+perSecond(mysqlEvery)+" logins a second",
		"                         VIP 10.77.0.100:7      its pulse: "+perSecond(pulseEvery)+" connections a second",
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

// since is what a client saw from a moment on, with a few answers after all that has happened.
func (s *show) since(m *measure.Client, event time.Time) measure.Result {
	m.WaitAnswered("", patience)
	time.Sleep(settle)
	// The newest ones may still be on their way.
	return m.Attempts().Since(event).Until(time.Now().Add(-settle / 2))
}

const settle = 300 * time.Millisecond

// finale is a line for each act, and what did not hold.
func (s *show) finale() {
	all := s.mysql.Stop()
	s.pulse.Stop()
	s.narrator.tell()
	p := s.story.paint
	s.story.print("", p.in(bold, "   "+pad("what was done", 50)+pad("client's outage", 17)+pad("expected", 17)+"held"))
	total, held := 0, 0
	var broken []expectation
	for i, a := range s.acts {
		good, figure := 0, expectation{saw: "-", limit: "-"}
		for _, e := range a.outcomes {
			total++
			if e.held {
				good++
			} else {
				broken = append(broken, e)
			}
			if e.headline {
				figure = e
			}
		}
		held += good
		text := fmt.Sprintf("%d  %s%s%s%d of %d %s", i, pad(a.title, 50), pad(figure.saw, 17), pad(figure.limit, 17),
			good, len(a.outcomes), s.story.mark(good == len(a.outcomes)))
		s.story.print(text)
	}
	s.story.print(append([]string{""}, wrap("The client made "+queries(all)+".", width)...)...)
	for _, e := range broken {
		s.story.judge(e)
	}
	text := fmt.Sprintf("%d of %d expectations held, after %.0f s.", held, total, time.Since(s.story.start).Seconds())
	if held < total {
		s.story.print(p.in(red, text))
		return
	}
	s.story.print(p.in(green, text))
}
