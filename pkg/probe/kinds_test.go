package probe

import (
	"bufio"
	"context"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// replier answers each packet with a copy of what answer returns; nil is no answer.
func replier(t *testing.T, answer func(packet []byte) []byte) netip.AddrPort {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		packet := make([]byte, 2048)
		for {
			n, from, err := l.ReadFrom(packet)
			if err != nil {
				return
			}
			if a := answer(packet[:n]); a != nil {
				_, _ = l.WriteTo(a, from)
			}
		}
	}()
	return l.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestTalk(t *testing.T) {
	redis := saying(t, "+PONG\r\n")
	ping := config.TCPCheck{Send: "PING\r\n", Answer: config.Answer{Text: "+PONG"}}
	check(t, Make(within(t, 5*time.Second), &Target{Address: redis, Kind: ping}), health.OK, health.Good, `tcp: answered in .*`)
	check(t, Make(within(t, 5*time.Second), &Target{Address: redis, Kind: config.TCPCheck{Send: "PING\r\n"}}), health.OK, health.Good, `tcp: sent in .*`)
	check(t, Make(within(t, 5*time.Second), &Target{Address: saying(t, "-NOAUTH\r\n"), Kind: ping}), health.Content, health.Bad,
		`tcp: .*: the answer "-NOAUTH\\r\\n" does not contain "\+PONG"`)
	check(t, Make(within(t, 5*time.Second), &Target{Address: saying(t, ""), Kind: ping}), health.Reset, health.Bad, `tcp: answer of .*: connection closed by the server`)
	check(t, Make(within(t, 50*time.Millisecond), &Target{Address: addressOf(listen(t)), Kind: ping}), health.Timeout, health.Bad, `tcp: answer of .*: no answer within .*`)
	check(t, Make(within(t, 5*time.Second), &Target{Address: saying(t, strings.Repeat("x", 2*maxTalk)), Kind: ping}), health.Content, health.Bad,
		`tcp: .*: the first 64 KiB .* does not contain "\+PONG"`)
	check(t, Make(within(t, 5*time.Second), &Target{Address: closedPort(t), Kind: ping}), health.Refused, health.Bad, `tcp: dial .*: connection refused`)
}

func TestUDP(t *testing.T) {
	echo := replier(t, func(p []byte) []byte { return slices.Clone(p) })
	empty := replier(t, func([]byte) []byte { return []byte{} })
	silent := replier(t, func([]byte) []byte { return nil })
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = closed.Close()
	for name, tt := range map[string]struct {
		at    netip.AddrPort
		check config.UDPCheck
		limit time.Duration
		code  health.Code
		class health.Class
		cause string
	}{
		"answers":          {echo, config.UDPCheck{Send: "hello", Answer: config.Answer{Text: "hello"}}, 5 * time.Second, health.OK, health.Good, `udp: answered in .*`},
		"answers anything": {echo, config.UDPCheck{Silent: true}, 5 * time.Second, health.OK, health.Good, `udp: answered in .*`},
		"answers nothing":  {empty, config.UDPCheck{Send: "x"}, 5 * time.Second, health.OK, health.Good, `udp: answered in .*`},
		"wrong answer":     {echo, config.UDPCheck{Send: "hello", Answer: config.Answer{Text: "bye"}}, 50 * time.Millisecond, health.Content, health.Bad, `udp: .*the answer "hello" does not contain "bye"`},
		"silent":           {silent, config.UDPCheck{Silent: true}, 50 * time.Millisecond, health.OK, health.Good, `udp: no ICMP error in .*`},
		"no answer":        {silent, config.UDPCheck{}, 50 * time.Millisecond, health.Timeout, health.Bad, `udp: answer of .*: no answer within .*`},
		"closed":           {nobody, config.UDPCheck{Silent: true}, 5 * time.Second, health.NoNetwork, health.Unknown, `udp: answer of .* rejects it .*`}, // it is this machine that rejects
	} {
		t.Run(name, func(t *testing.T) {
			check(t, Make(within(t, tt.limit), &Target{Address: tt.at, Kind: tt.check}), tt.code, tt.class, tt.cause)
		})
	}
}

// TestCancelled: what a check was doing when it is cancelled is no evidence. Its socket's deadline is set by another
// goroutine, at any moment.
func TestCancelled(t *testing.T) {
	silent := replier(t, func([]byte) []byte { return nil })
	for _, kind := range []config.CheckKind{
		config.UDPCheck{Silent: true},
		config.UDPCheck{Send: "x"},
		config.DNSCheck{Name: "example.org", Record: "A"},
		config.PingCheck{},
		config.TCPCheck{Send: "PING", Answer: config.Answer{Text: "PONG"}},
		config.SMTPCheck{},
	} {
		at := silent
		if kind.Network() == config.OverTCP {
			at = addressOf(listen(t))
		}
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Duration(rand.IntN(200))*time.Microsecond, cancel)
			r := Make(ctx, &Target{Address: at, Kind: kind})
			if strings.Contains(r.Cause, "CAP_NET_RAW") {
				break
			}
			if r.Class == health.Bad {
				t.Fatalf("%s: %+v", kind.Type(), r)
			}
		}
	}
}

// zone answers questions about example.org.
func zone(t *testing.T, change func(*dnsmessage.Message)) netip.AddrPort {
	return replier(t, func(p []byte) []byte {
		var m dnsmessage.Message
		if m.Unpack(p) != nil || len(m.Questions) != 1 {
			return nil
		}
		q := m.Questions[0]
		m.Response = true
		header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
		switch {
		case q.Name.String() == "nothing.example.org.":
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 1}}}, {Header: header, Body: &dnsmessage.AResource{A: [4]byte{10, 0, 0, 2}}}}
		case q.Type == dnsmessage.TypeSOA:
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.SOAResource{NS: q.Name, MBox: q.Name, Serial: 42}}}
		}
		if change != nil {
			change(&m)
		}
		packet, err := m.Pack()
		if err != nil {
			return nil
		}
		return packet
	})
}

func TestDNS(t *testing.T) {
	server := zone(t, nil)
	for name, tt := range map[string]struct {
		at    netip.AddrPort
		check config.DNSCheck
		limit time.Duration
		code  health.Code
		cause string
	}{
		"root":         {server, config.DNSCheck{Name: ".", Record: "SOA"}, 5 * time.Second, health.OK, `dns: answered in .*`},
		"serial":       {server, config.DNSCheck{Name: "example.org.", Record: "SOA", Answer: config.Answer{Text: " 42"}}, 5 * time.Second, health.OK, `dns: .*`},
		"address":      {server, config.DNSCheck{Name: "www.example.org.", Record: "A", Answer: config.Answer{Expression: `^10\.0\.0\.2$`}}, 5 * time.Second, health.OK, `dns: .*`},
		"not it":       {server, config.DNSCheck{Name: "www.example.org.", Record: "A", Answer: config.Answer{Text: "10.0.0.3"}}, 5 * time.Second, health.Content, `dns: A of www.example.org. at .*: none of the answers "10.0.0.1; 10.0.0.2" is as expected`},
		"no name":      {server, config.DNSCheck{Name: "nothing.example.org.", Record: "A"}, 5 * time.Second, health.Status, `dns: A of nothing.example.org. at .*: NXDOMAIN`},
		"no record":    {server, config.DNSCheck{Name: "www.example.org.", Record: "TXT", Answer: config.Answer{Text: "x"}}, 5 * time.Second, health.Content, `dns: .*none of the answers nothing is as expected`},
		"another id":   {zone(t, func(m *dnsmessage.Message) { m.ID++ }), config.DNSCheck{Name: ".", Record: "SOA"}, 50 * time.Millisecond, health.Timeout, `dns: answer of .*: no answer within .*`},
		"another name": {zone(t, func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX }), config.DNSCheck{Name: ".", Record: "SOA"}, 50 * time.Millisecond, health.Timeout, `dns: .*`},
		"empty packet": {replier(t, func([]byte) []byte { return []byte{} }), config.DNSCheck{Name: ".", Record: "SOA"}, 50 * time.Millisecond, health.Timeout, `dns: answer of .*: no answer within .*`},
		"refuses":      {zone(t, func(m *dnsmessage.Message) { m.RCode, m.Questions, m.Answers = dnsmessage.RCodeRefused, nil, nil }), config.DNSCheck{Name: ".", Record: "SOA"}, 5 * time.Second, health.Status, `dns: .*: REFUSED`},
	} {
		t.Run(name, func(t *testing.T) {
			class := health.Bad
			if tt.code == health.OK {
				class = health.Good
			}
			check(t, Make(within(t, tt.limit), &Target{Address: tt.at, Kind: tt.check}), tt.code, class, tt.cause)
		})
	}
}

type mailbox struct{}

func (mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return nil, nil }

func TestSMTP(t *testing.T) {
	s := smtp.NewServer(mailbox{})
	s.Domain, s.ErrorLog = "mail.example.org", log.New(io.Discard, "", 0)
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	for name, tt := range map[string]struct {
		at    netip.AddrPort
		code  health.Code
		class health.Class
		cause string
	}{
		"a server":  {addressOf(l), health.OK, health.Good, `smtp: answered in .*`},
		"not there": {closedPort(t), health.Refused, health.Bad, `smtp: dial .*: connection refused`},
		"HELO only": {mailScript(t, "220 a", "502 what?", "250 a", "221 bye"), health.OK, health.Good, `smtp: .*`},
		"lines":     {mailScript(t, "220-a\r\n220-b\r\n220 c", "250-a\r\n250 SIZE", "221 bye"), health.OK, health.Good, `smtp: .*`},
		"no QUIT":   {mailScript(t, "220 a", "250 a"), health.OK, health.Good, `smtp: .*`},
		"rejects":   {mailScript(t, "554 no service here"), health.Status, health.Bad, `smtp: greeting of .*: 554 no service here, want 220`},
		"busy":      {mailScript(t, "421 too many"), health.Status, health.Bad, `smtp: greeting of .*: 421 too many, want 220`},
		"no EHLO":   {mailScript(t, "220 a", "550 not you"), health.Status, health.Bad, `smtp: EHLO of .*: 550 not you, want 250`},
		"another":   {mailScript(t, "SSH-2.0-OpenSSH"), health.Protocol, health.Bad, `smtp: greeting of .*: the answer is not SMTP: received "SSH-2.0-OpenSSH\\r\\n"`},
		"too long":  {mailScript(t, "220 "+strings.Repeat("x", 2*maxReplyLine)), health.Protocol, health.Bad, `smtp: .*`},
		"endless":   {mailScript(t, strings.Repeat("220-x\r\n", maxReplyLines+1)), health.Protocol, health.Bad, `smtp: .*more than 64 lines.*`},
		"closes":    {mailScript(t), health.Reset, health.Bad, `smtp: greeting of .*: connection closed by the server`},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, Make(within(t, 5*time.Second), &Target{Address: tt.at, Kind: config.SMTPCheck{Name: "director"}}), tt.code, tt.class, tt.cause)
		})
	}
	r := Make(within(t, 50*time.Millisecond), &Target{Address: addressOf(listen(t)), Kind: config.SMTPCheck{}})
	check(t, r, health.Timeout, health.Bad, `smtp: greeting of .*: no answer within .*`)
}

// mailScript is a server that sends replies, each but the first after it has received something.
func mailScript(t *testing.T, replies ...string) netip.AddrPort {
	t.Helper()
	l := listen(t)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for i, r := range replies {
			if i > 0 {
				if _, err := c.Read(make([]byte, 512)); err != nil {
					return
				}
			}
			_, _ = io.WriteString(c, r+"\r\n")
		}
		if len(replies) > 0 {
			_, _ = c.Read(make([]byte, 512))
		}
	}()
	return addressOf(l)
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		code  health.Code
		class health.Class
		cause string
	}{
		write("zero", " 0\n"):                    {health.OK, health.Good, `file: .*/zero has the number 0 in .*`},
		write("empty", ""):                       {health.OK, health.Good, `file: .*`},
		filepath.Join(dir, "missing"):            {health.OK, health.Good, `file: .*`},
		write("one", "1"):                        {health.Failed, health.Bad, `file: .*/one has the number 1 \(write 0 .*\)`},
		write("word", "down"):                    {health.Unreadable, health.Unknown, `file: .*/word has "down", which is no whole number .*`},
		write("long", strings.Repeat("1", 2000)): {health.Unreadable, health.Unknown, `file: .*`},
		write("big", "65536"):                    {health.Unreadable, health.Unknown, `file: .*`},
		dir:                                      {health.Unreadable, health.Unknown, `file: .* is not a regular file .*`},
		fifo:                                     {health.Unreadable, health.Unknown, `file: .* is not a regular file .*`},
		filepath.Join(write("zero", "0"), "in it"): {health.Unreadable, health.Unknown, `file: .*not a directory .*`},
	} {
		check(t, Make(within(t, 5*time.Second), &Target{Kind: config.FileCheck{Path: path}}), want.code, want.class, want.cause)
	}
}

// FuzzDNS feeds the parser with answers of a hostile server.
func FuzzDNS(f *testing.F) {
	q, packet, err := newQuestion(7, config.DNSCheck{Name: "example.org.", Record: "TXT"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
	packet[2] |= 0x80
	f.Add(packet)
	f.Fuzz(func(t *testing.T, p []byte) {
		a, ours, _ := readAnswer(p, q)
		if ours && (len(p) < 12 || p[0] != 0 || p[1] != 7 || p[2]&0x80 == 0) {
			t.Errorf("%x is an answer: %+v", p, a)
		}
	})
}

// FuzzSMTP feeds the parser with replies of a hostile server.
func FuzzSMTP(f *testing.F) {
	for _, s := range []string{"220 a\r\n", "220-a\r\n220 b\r\n", "220-a\r\n221 b\r\n", "22", "220", "220\n", "2x0 a\r\n", "999 \xff\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s0 := &mailServer{
			ctx: t.Context(), watch: start(t.Context(), "smtp"), target: &Target{}, to: io.Discard,
			from: bufio.NewReaderSize(strings.NewReader(s), maxReplyLine),
		}
		r := s0.exchange("", 220)
		if r.Code == health.OK && !strings.HasPrefix(s, "220") {
			t.Errorf("%q is a greeting", s)
		}
		if strings.ContainsAny(r.Cause, "\r\n") {
			t.Errorf("%q", r.Cause)
		}
	})
}
