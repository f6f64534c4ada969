package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

func (p *prober) DNS(c config.DNSCheck) { p.result = DNS(p.ctx, p.target, c) }

// DNS asks a name server a question over UDP (RFC 1035), once. Packets that are not the answer are ignored.
func DNS(ctx context.Context, t *Target, c config.DNSCheck) Result {
	watch := start(ctx, "dns")
	expected, err := newMatcher(c.Answer)
	if err != nil {
		return watch.result(health.Local, health.Unknown, err.Error())
	}
	var id [2]byte
	_, _ = rand.Read(id[:]) // it never fails
	question, query, err := newQuestion(binary.BigEndian.Uint16(id[:]), c)
	if err != nil {
		return watch.result(health.Local, health.Unknown, printable(c.Name+": "+err.Error(), 200))
	}
	conn, err := dialUDP(t)
	if err != nil {
		return watch.failed("dial", t.Address, err)
	}
	defer conn.Close()
	defer conn.endWith(ctx)()
	if _, err := conn.Write(query); err != nil {
		return watch.failed("send to", t.Address, ended(ctx, conn.explain(cause(err))))
	}
	t.log("asked %s for %s of %s", t.Address, c.Record, c.Name)
	packet := make([]byte, 64<<10)
	for {
		n, err := conn.Read(packet)
		switch {
		case ctx.Err() != nil:
			return watch.failed("answer of", t.Address, ctx.Err())
		case err != nil && !errors.Is(err, io.EOF): // an empty packet
			return watch.failed("answer of", t.Address, conn.explain(cause(err)))
		}
		answer, ours, err := readAnswer(packet[:n], question)
		if !ours {
			t.log("ignored a packet of %d bytes: %v", n, err)
			continue
		}
		return watch.answer(t, c, answer, err, expected)
	}
}

// answer judges the answer of a name server.
func (w *stopwatch) answer(t *Target, c config.DNSCheck, a dnsAnswer, err error, expected matcher) Result {
	where := fmt.Sprintf("%s of %s at %s: ", c.Record, printable(c.Name, 100), t.Address)
	if err != nil {
		return w.result(health.Protocol, health.Bad, where+"malformed answer: "+printable(err.Error(), 100))
	}
	t.log("%s, %d answers: %s", rcode(a.status), len(a.records), printable(strings.Join(a.records, "; "), 500))
	switch {
	case a.status != dnsmessage.RCodeSuccess:
		return w.result(health.Status, health.Bad, where+rcode(a.status))
	case c.Answer.Any():
		return w.good("answered")
	}
	for _, r := range a.records {
		if expected.matches(r) {
			return w.good("answered")
		}
	}
	return w.result(health.Content, health.Bad, where+"none of the answers "+excerpt(strings.Join(a.records, "; "))+" is as expected")
}

// question is what identifies an answer.
type question struct {
	id uint16
	dnsmessage.Question
}

func newQuestion(id uint16, c config.DNSCheck) (question, []byte, error) {
	name, err := dnsmessage.NewName(c.Name)
	if err != nil {
		return question{}, nil, err
	}
	q := question{id, dnsmessage.Question{Name: name, Type: recordType(c.Record), Class: dnsmessage.ClassINET}}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := b.StartQuestions(); err != nil {
		return question{}, nil, err
	}
	if err := b.Question(q.Question); err != nil {
		return question{}, nil, err
	}
	packet, err := b.Finish()
	return q, packet, err
}

// dnsAnswer is the answer to a question.
type dnsAnswer struct {
	status  dnsmessage.RCode
	records []string // of the type that was asked for, as text
}

// maxRecords is how many records of an answer are read.
const maxRecords = 256

// readAnswer parses a packet. ours is false for one that does not answer the question; err says why, or what is wrong with
// one that does.
func readAnswer(packet []byte, q question) (a dnsAnswer, ours bool, err error) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	switch {
	case err != nil:
		return a, false, err
	case !header.Response || header.ID != q.id:
		return a, false, errors.New("it answers another question")
	}
	a.status = header.RCode
	asked, err := p.AllQuestions()
	switch {
	case err != nil:
		return a, true, err
	case len(asked) == 0 && header.RCode != dnsmessage.RCodeSuccess: // as some servers refuse
		return a, true, nil
	case len(asked) != 1 || asked[0].Type != q.Type || asked[0].Class != q.Class || !strings.EqualFold(asked[0].Name.String(), q.Name.String()):
		return a, false, errors.New("it answers another question")
	}
	for range maxRecords {
		r, err := p.Answer()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return a, true, nil
		}
		if err != nil {
			return a, true, err
		}
		if r.Header.Type == q.Type {
			a.records = append(a.records, recordText(r.Body))
		}
	}
	return a, true, nil
}

func recordType(s string) dnsmessage.Type {
	return map[string]dnsmessage.Type{
		"SOA": dnsmessage.TypeSOA, "NS": dnsmessage.TypeNS, "A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME,
		"MX": dnsmessage.TypeMX, "TXT": dnsmessage.TypeTXT, "SRV": dnsmessage.TypeSRV, "PTR": dnsmessage.TypePTR,
	}[s]
}

// recordText returns the data of a record as zone files have it.
func recordText(body dnsmessage.ResourceBody) string {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return addressText(r.A[:])
	case *dnsmessage.AAAAResource:
		return addressText(r.AAAA[:])
	case *dnsmessage.NSResource:
		return r.NS.String()
	case *dnsmessage.CNAMEResource:
		return r.CNAME.String()
	case *dnsmessage.PTRResource:
		return r.PTR.String()
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %s", r.Pref, r.MX)
	case *dnsmessage.SRVResource:
		return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, r.Target)
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, "")
	case *dnsmessage.SOAResource:
		return fmt.Sprintf("%s %s %d", r.NS, r.MBox, r.Serial)
	default:
		return ""
	}
}

func addressText(raw []byte) string {
	a, _ := netip.AddrFromSlice(raw)
	return a.String()
}

// rcode returns a response code as tools print it.
func rcode(r dnsmessage.RCode) string {
	switch r {
	case dnsmessage.RCodeSuccess:
		return "NOERROR"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeNameError:
		return "NXDOMAIN"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	}
	return fmt.Sprintf("response code %d", r)
}
