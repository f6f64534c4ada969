package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// TestMail: the mails of an instance, a real server and a quorum arrive at a mail server, each at its own recipients, with the reason. The
// table does not wait for a mail server that does not answer, which is reported, and is no problem any more when it has taken a mail.
//
// Proves docs/hooks.md: "A mail has one line about the state as its subject, and the reason in its text."
// Proves docs/hooks.md: "Then it is the problem `hook_failed`, a WARNING, until it runs successfully"
func TestMail(t *testing.T) {
	lab.Need(t, lab.IPVS)
	c := newCluster(t, shape{
		advert: "100ms", server: "notify: [{on: [server_down, quorum_down, quorum_up], mail_to: [ops@example.com, dba@example.com], timeout: 1s}]",
		more: "mail: {server: 10.77.0.25, from: lvs@example.com}\nnotify: [{on: [master], mail_to: [ops@example.com]}]",
	})
	mail := startMail(c.net.Host("mail", c.lan.At("10.77.0.25/24")))
	one, two := c.answering()
	c.startMaster()
	arrives := func(subject, text string, to ...string) {
		t.Helper()
		mail.WaitLog("^mail from lvs@example.com to "+regexp.QuoteMeta(fmt.Sprint(to))+": .*Subject: lvs-master: "+subject+` / .*`+text, soon)
	}
	arrives("instance mysql is MASTER", "virtual router ID: 51", "ops@example.com")
	arrives("the quorum of virtual server mysql is met", "before: UNKNOWN", "ops@example.com", "dba@example.com")
	one.Stop()
	arrives("real server mysql/mysql1 is DOWN", "down: tcp: .*10.77.0.11:3306", "ops@example.com", "dba@example.com")
	c.awaitTable(c.master, rs2)

	mail.Pause()
	two.Stop()
	c.awaitTable(c.master)
	c.ctlEventually(c.master, "hook_failed")
	mail.Resume()
	_, two = c.answering()
	c.awaitTable(c.master, rs1, rs2)
	arrives("the quorum of virtual server mysql is met", "before: DOWN", "ops@example.com", "dba@example.com")
	two.Stop()
	arrives("real server mysql/mysql2 is DOWN", "before: UP", "ops@example.com", "dba@example.com")
	lab.Eventually(t, soon, func() error {
		for _, p := range c.master.status().ProblemDetails {
			if p.Code == problem.HookFailed {
				return fmt.Errorf("%+v", p)
			}
		}
		return nil
	})
}

const mailRole = "mail server"

// startMail starts a mail server on port 25 that logs what it receives.
func startMail(h *lab.Host) *lab.Daemon {
	h.T().Helper()
	return h.StartRole(mailRole, "mail", nil)
}

func mailRoles() lab.Roles {
	return lab.Roles{mailRole: func([]byte) error {
		s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{}, nil }))
		s.Domain, s.Debug = "mail.example.org", os.Stderr
		l, err := net.Listen("tcp", ":25")
		if err != nil {
			return err
		}
		fmt.Println("ready") // as StartRole awaits
		return s.Serve(l)
	}}
}

// mailSession takes every mail, and prints it in one line.
type mailSession struct {
	from string
	to   []string
}

func (s *mailSession) Reset()                                      { s.from, s.to = "", nil }
func (s *mailSession) Logout() error                               { return nil }
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = append(s.to, to); return nil }

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	fmt.Fprintf(os.Stderr, "mail from %s to %v: %s\n", s.from, s.to, strings.ReplaceAll(string(text), "\r\n", " / "))
	return err
}
