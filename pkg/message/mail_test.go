package message

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// session is one connection to the mail server of the test.
type session struct{ got chan<- string }

func (s session) Mail(from string, _ *smtp.MailOptions) error {
	s.got <- "from " + from
	return nil
}

func (s session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return errors.New("no such user")
	}
	s.got <- "to " + to
	return nil
}

func (s session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.got <- string(b)
	return err
}

func (session) Reset()        {}
func (session) Logout() error { return nil }

// AuthMechanisms and Auth let user lvs with the password secret in.
func (session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "lvs" || password != "secret" {
			return errors.New("wrong password")
		}
		return nil
	}), nil
}

func TestSend(t *testing.T) {
	got := make(chan string, 10)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{got}, nil }))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	at := listener.Addr().(*net.TCPAddr)
	mail := Mail{
		Server: config.Mail{Server: "127.0.0.1", Port: uint16(at.Port), From: "lvs@example.com", Encryption: config.MailOpportunistic},
		To:     []string{"ops@example.com", "dba@example.com"}, Subject: "lvs-master: instance mysql is MASTER", Text: "no advert for 3.6s: größer\n.\n",
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Send(ctx, mail); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"from lvs@example.com", "to ops@example.com", "to dba@example.com"} {
		if line := <-got; line != want {
			t.Errorf("the server got %q, want %q", line, want)
		}
	}
	text := <-got
	for _, want := range []string{"Subject: lvs-master: instance mysql is MASTER\r\n", "From: <lvs@example.com>\r\n", "To: <ops@example.com>, <dba@example.com>\r\n", "Date: ", "Message-ID: <", "no advert for 3.6s: gr=C3=B6=C3=9Fer\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the mail lacks %q:\n%s", want, text)
		}
	}

	if six, err := net.Listen("tcp", "[::1]:0"); err == nil {
		go func() { _ = server.Serve(six) }()
		mail.Server.Server, mail.Server.Port = "::1", uint16(six.Addr().(*net.TCPAddr).Port)
		if err := Send(ctx, mail); err != nil {
			t.Errorf("a server with an IPv6 address: %v", err)
		}
		for len(got) > 0 {
			<-got
		}
		mail.Server.Server, mail.Server.Port = "127.0.0.1", uint16(at.Port)
	}

	fails := func(what, want string, change func(m *Mail)) {
		t.Helper()
		m := mail
		change(&m)
		if err := Send(ctx, m); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
		for len(got) > 0 {
			<-got
		}
	}
	fails("no such user", "no such user", func(m *Mail) { m.To = []string{"nobody@example.com"} })
	fails("no address", "an address cannot be used", func(m *Mail) { m.To = []string{"two words@@"} })
	fails("STARTTLS is required", "STARTTLS", func(m *Mail) { m.Server.Encryption = config.MailSTARTTLS })
	fails("no TLS", "tls", func(m *Mail) { m.Server.Encryption = config.MailTLS })
	fails("a password without encryption", "", func(m *Mail) { m.Server.Username, m.Password = "lvs", "secret" })
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	fails("a server that says nothing", "in time", func(m *Mail) { m.Server.Port = uint16(silent.Addr().(*net.TCPAddr).Port) })
}
