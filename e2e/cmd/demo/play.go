package main

import (
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A show is the demo under way.
type show struct {
	*cluster
	story *story
	mysql *lab.Measurement // logins and SELECT @@hostname through the VIP
	pulse *lab.Measurement // light and dense: the pulse of the VIP
	app   *session

	chapter  int
	outcomes []outcome
}

// An outcome is one expectation of a chapter, for the table at the end.
type outcome struct {
	chapter int
	title   string
	expectation
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
	s := &show{cluster: newCluster(t, story, p), story: story}
	for _, chapter := range []struct {
		title string
		play  func(*show) []expectation
	}{
		{"two directors, two MariaDB servers, one VIP", (*show).begin},
		{"mysqld on mysql2 is stopped", (*show).stopMySQL},
		{"mysqld on mysql2 is started again", (*show).startMySQL},
		{"the cable of lvs-master, which is MASTER, is cut", (*show).cutCable},
		{"the cable is plugged in again", (*show).plugCable},
		{"the director on lvs-master is stopped (systemctl stop)", (*show).stopDirector},
		{"the director on lvs-master is started again", (*show).startDirector},
		{"the director on lvs-master is killed (kill -9)", (*show).killDirector},
		{"and started once more", (*show).startDirector},
	} {
		story.act(s.chapter, chapter.title)
		for _, e := range chapter.play(s) {
			story.judge(e)
			s.outcomes = append(s.outcomes, outcome{s.chapter, chapter.title, e})
			if !e.held {
				t.fail()
			}
		}
		s.chapter++
	}
	s.finale()
}

func opening(story *story) {
	p := story.paint
	story.print(
		p.in(bold, "lvs-director: two directors and two MySQL servers behind one virtual address (VIP), with DR"),
		"",
		"    client 10.77.0.50 ── asks the VIP 10.77.0.100:3306 ──┐",
		"                                                         │",
		"    lvs-master 10.77.0.2   priority 150   ── the MASTER of VRRP holds the VIP; both check the servers",
		"    lvs-backup 10.77.0.3   priority 100      and keep the same IPVS table",
		"                                                         │",
		"    mysql1 10.77.0.11  weight 3           ── MariaDB, each a replica of the other (GTID); they have",
		"    mysql2 10.77.0.12  weight 1              the VIP on lo and answer the client directly",
	)
}

// since is what the clients saw from a moment on, now that all answers are in.
func (s *show) since(m *lab.Measurement, event time.Time) lab.Result {
	m.WaitAnswered("", patience)
	time.Sleep(settle)
	now := time.Now()
	return m.Attempts().Since(event).Until(now.Add(-settle / 2))
}

// settle lets a few more answers come after an event, so that what is measured has an end.
const settle = 400 * time.Millisecond

func (s *show) finale() {
	s.mysql.Stop()
	s.pulse.Stop()
	p := s.story.paint
	s.story.print("", p.in(bold, "What was promised, and what came of it"))
	last, held := -1, 0
	for _, o := range s.outcomes {
		if o.chapter != last {
			s.story.print("", fmt.Sprintf("    %d  %s", o.chapter, o.title))
			last = o.chapter
		}
		s.story.print("       " + s.story.verdict(o.expectation))
		if o.held {
			held++
		}
	}
	text := fmt.Sprintf("%d of %d expectations held, after %.0f s.", held, len(s.outcomes), time.Since(s.story.start).Seconds())
	code := green
	if held < len(s.outcomes) {
		code = red
	}
	s.story.print("", p.in(code, text))
}
