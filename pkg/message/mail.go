package message

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// Mail is one mail.
type Mail struct {
	Server   config.Mail
	Password string // of Server.Username
	To       []string
	Subject  string // one line
	Text     string
}

// Send sends a mail until ctx ends. Errors do not contain the password.
func Send(ctx context.Context, m Mail) error {
	message := mail.NewMsg()
	if err := errors.Join(message.From(m.Server.From), message.To(m.To...)); err != nil {
		return fmt.Errorf("an address cannot be used: %w", err)
	}
	message.Subject(m.Subject)
	message.SetBodyString(mail.TypeTextPlain, m.Text)
	message.SetDate()
	message.SetMessageID()
	all := options(m)
	if until, limited := ctx.Deadline(); limited { // go-mail uses the context only for the connection
		all = append(all, mail.WithTimeout(max(time.Until(until), time.Millisecond)))
	}
	host := m.Server.Server
	if strings.Contains(host, ":") { // go-mail puts a colon and the port behind it
		host = "[" + host + "]"
	}
	client, err := mail.NewClient(host, all...)
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, message); err != nil {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("the mail server did not take it in time")
		}
		return err
	}
	return nil
}

func options(m Mail) []mail.Option {
	s := m.Server
	all := []mail.Option{mail.WithPort(25), mail.WithTLSPolicy(mail.TLSOpportunistic)}
	switch s.Encryption {
	case config.MailPlain:
		all = append(all, mail.WithTLSPolicy(mail.NoTLS))
	case config.MailSTARTTLS:
		all = append(all, mail.WithTLSPolicy(mail.TLSMandatory))
	case config.MailTLS:
		all = append(all, mail.WithSSL(), mail.WithPort(465))
	default: // as good as none against an attacker, so that a certificate of the machine's own is no reason to lose the mail
		all = append(all, mail.WithTLSConfig(&tls.Config{InsecureSkipVerify: true, ServerName: s.Server, MinVersion: tls.VersionTLS12}))
	}
	if s.Port != 0 {
		all = append(all, mail.WithPort(int(s.Port)))
	}
	if s.Username != "" {
		all = append(all, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.Username), mail.WithPassword(m.Password))
	}
	return all
}
