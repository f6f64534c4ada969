package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// A reply of a mail server has at most so many lines, of at most so many bytes (RFC 5321, section 4.5.3.1.5, allows 512).
const (
	maxReplyLines = 64
	maxReplyLine  = 1024
)

var errNotSMTP = errors.New("the answer is not SMTP")

func (p *prober) SMTP(c config.SMTPCheck) { p.result = SMTP(p.ctx, p.target, c) }

// SMTP reads the greeting, sends EHLO and QUIT, and waits for the answers (RFC 5321). A server that does not know EHLO
// gets HELO.
func SMTP(ctx context.Context, t *Target, c config.SMTPCheck) Result {
	watch := start(ctx, "smtp")
	conn, err := dial(ctx, t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	defer conn.Close()
	defer conn.endWith(ctx)()
	t.log("connected to %s", t.Address)
	s := &mailServer{ctx: ctx, target: t, watch: watch, to: conn, from: bufio.NewReaderSize(conn, maxReplyLine)}
	if r := s.exchange("", 220); r.Code != health.OK {
		return r
	}
	name := c.Name
	if name == "" {
		name = "lvs-director"
	}
	if r := s.exchange("EHLO "+name, 250); r.Code != health.OK {
		if s.status != 500 && s.status != 502 && s.status != 504 {
			return r
		}
		if r = s.exchange("HELO "+name, 250); r.Code != health.OK {
			return r
		}
	}
	result := watch.good("answered")
	_ = s.exchange("QUIT", 221) // the result is known; a server may close without an answer
	return result
}

// mailServer is a conversation with a mail server.
type mailServer struct {
	ctx    context.Context // of the probe
	target *Target
	watch  *stopwatch
	to     io.Writer
	from   *bufio.Reader
	status int // of the last reply; 0 without one
}

// exchange sends a command, if it is not empty, and reads the reply, which must have a certain status.
func (s *mailServer) exchange(command string, want int) Result {
	step := "greeting"
	s.status = 0
	if command != "" {
		step, _, _ = strings.Cut(command, " ")
		if _, err := io.WriteString(s.to, command+"\r\n"); err != nil {
			return s.watch.failed(step+" to", s.target.Address, ended(s.ctx, err))
		}
		s.target.log("> %s", command)
	}
	status, text, err := readReply(s.from)
	s.target.log("< %d %s", status, printable(text, 200))
	switch {
	case errors.Is(err, errNotSMTP):
		return s.watch.result(health.Protocol, health.Bad, fmt.Sprintf("%s of %s: %s: received %s", step, s.target.Address, err, excerpt(text)))
	case err != nil:
		return s.watch.failed(step+" of", s.target.Address, ended(s.ctx, err))
	}
	if s.status = status; status != want {
		return s.watch.result(health.Status, health.Bad, fmt.Sprintf("%s of %s: %d %s, want %d", step, s.target.Address, status, printable(text, 100), want))
	}
	return Result{Code: health.OK}
}

// readReply returns the status and the text of the first line of a reply. With errNotSMTP, text is the line that is none.
func readReply(from *bufio.Reader) (status int, text string, err error) {
	for n := range maxReplyLines {
		line, err := from.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull), err != nil && errors.Is(err, io.EOF) && len(line) > 0:
			return 0, string(line), errNotSMTP
		case err != nil:
			return 0, "", err
		}
		code, last, rest, ok := replyLine(strings.TrimRight(string(line), "\r\n"))
		if !ok || n > 0 && code != status {
			return 0, string(line), errNotSMTP
		}
		if n == 0 {
			status, text = code, rest
		}
		if last {
			return status, text, nil
		}
	}
	return 0, text, fmt.Errorf("%w: more than %d lines", errNotSMTP, maxReplyLines)
}

// replyLine parses a line: three digits, then "-" if more lines follow, or a space, and a text.
func replyLine(line string) (code int, last bool, text string, ok bool) {
	if len(line) < 3 {
		return 0, false, "", false
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(c-'0')
	}
	switch rest := line[3:]; {
	case rest == "":
		return code, true, "", true
	case rest[0] == ' ', rest[0] == '-':
		return code, rest[0] == ' ', rest[1:], true
	}
	return 0, false, "", false
}
