package daemon

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// ports are the ports of a machine.
type ports struct {
	mu    sync.Mutex
	open  map[netip.AddrPort]*fakeListener
	taken bool // by another program
}

type fakeListener struct {
	ports *ports
	at    netip.AddrPort
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

func (p *ports) listen(at netip.AddrPort) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken || p.open[at] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &fakeListener{ports: p, at: at, conns: make(chan net.Conn), gone: make(chan struct{})}
	p.open[at] = l
	return l, nil
}

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

func (l *fakeListener) Close() error {
	l.once.Do(func() {
		l.ports.mu.Lock()
		defer l.ports.mu.Unlock()
		delete(l.ports.open, l.at)
		close(l.gone)
	})
	return nil
}

func (l *fakeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// at returns the listener of a port, nil if it is not open.
func (p *ports) at(at string) *fakeListener {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open[netip.MustParseAddrPort(at)]
}

func (p *ports) take(taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = taken
}

// scrape returns the status and the head of the body at a port.
func (p *ports) scrape(t *testing.T, at string) (int, string) {
	t.Helper()
	l := p.at(at)
	if l == nil {
		return 0, "refused"
	}
	near, far := net.Pipe()
	defer near.Close()
	l.conns <- far
	if _, err := near.Write([]byte("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(near), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(answer.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, b.String()
}

// scraped is a service with metrics.
type scraped struct{}

func (scraped) Metrics(context.Context) metrics.Node {
	return metrics.Node{Agent: &status.Agent{}}
}
func (scraped) MetricsAt(cfg *config.Config) netip.AddrPort { return cfg.Metrics.Listen }
func (scraped) APIAt(cfg *config.Config) netip.AddrPort     { return cfg.API.Listen }

// published is a publisher that runs until the end of the test.
type published struct {
	*publisher
	meter *meter
	ports *ports
	beats heartbeat.Set
	mu    sync.Mutex
	cfg   *config.Config
}

func publish(t *testing.T) *published {
	return publishing(t, func(p *published) *offer {
		p.meter = &meter{service: scraped{}, events: new(tally), loops: func() *heartbeat.Set { return &p.beats }, started: time.Now()}
		return p.meter.offer(p.publisher, slog.New(slog.DiscardHandler))
	})
}

// answering answers other machines.
func answering(t *testing.T) *published {
	return publishing(t, func(p *published) *offer {
		return remoteOffer(scraped{}, p.publisher, api.Handlers{Status: func() any { return status.Agent{} }}, slog.New(slog.DiscardHandler))
	})
}

func publishing(t *testing.T, what func(*published) *offer) *published {
	p := &published{ports: &ports{open: map[netip.AddrPort]*fakeListener{}}}
	p.publisher = newPublisher(func() *config.Config {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.cfg
	}, slog.New(slog.DiscardHandler))
	p.offer, p.listen = what(p), p.ports.listen
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// apply runs a file with these metrics, and the same for other machines; listen "" is none.
func (p *published) apply(listen, web string) {
	m, a := config.Metrics{WebConfig: web}, config.API{WebConfig: web}
	if listen != "" {
		m.Listen = netip.MustParseAddrPort(listen)
		a.Listen = m.Listen
	}
	p.mu.Lock()
	p.cfg = &config.Config{Metrics: m, API: a}
	p.mu.Unlock()
	p.applied()
	time.Sleep(1100 * time.Millisecond) // the server before may wait for a second for its connections
	synctest.Wait()
}

// TestPublisher: the port follows the file that runs, a port that is taken is tried again, and every failure is a problem.
func TestPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publish(t)
		p.beats.Start("the checker").Beat()
		p.beats.Start("the checker").Beat() // two loops of one name are one series
		p.meter.events.count(event.Event{Kind: event.ReloadApplied})
		const a, b = "127.0.0.1:9650", "[::1]:9650"
		problemIs := func(want string) {
			t.Helper()
			if text := p.trouble.String(); (text == "") != (want == "") || !strings.Contains(text, want) {
				t.Errorf("the problem is %q, want %q", text, want)
			}
		}
		p.apply("", "")
		if len(p.ports.open) != 0 {
			t.Error("a port is open without metrics in the file")
		}
		p.apply(a, "")
		code, body := p.ports.scrape(t, a)
		if code != 200 || !strings.Contains(body, "lvs_loop_heartbeats_total{loop=\"the checker\"} 2\n") || !strings.Contains(body, "lvs_events_total{kind=\"reload_applied\"} 1\n") {
			t.Errorf("%d %s", code, body)
		}
		p.apply(b, "")
		if p.ports.at(a) != nil || p.ports.at(b) == nil {
			t.Errorf("after a reload open are %v", p.ports.open)
		}
		p.ports.take(true)
		p.apply(a, "")
		problemIs("not published at 127.0.0.1:9650: listen tcp 127.0.0.1:9650: bind: address already in use (another program has the port: find it with ss -ltnp")
		if p.ports.at(b) != nil {
			t.Error("the port of the file before is still open")
		}
		p.ports.take(false)
		time.Sleep(publishInterval)
		synctest.Wait()
		problemIs("")
		_ = p.ports.at(a).Close() // the server ends
		time.Sleep(publishInterval)
		synctest.Wait()
		if code, _ := p.ports.scrape(t, a); code != 200 {
			t.Errorf("after the end of the server: %d", code)
		}
		p.apply("", "")
		if len(p.ports.open) != 0 {
			t.Error("the port is open after it was removed from the file")
		}
	})
}

// TestListenRemedy: each reason why a port cannot be opened has a remedy of its own.
func TestListenRemedy(t *testing.T) {
	seen := map[string]syscall.Errno{}
	for _, tt := range []struct {
		errno syscall.Errno
		want  string
	}{
		{syscall.EADDRINUSE, "ss -ltnp"},
		{syscall.EACCES, "from 1024 on"},
		{syscall.EPERM, "from 1024 on"},
		{syscall.EADDRNOTAVAIL, "does not have the address"},
		{syscall.EAFNOSUPPORT, "no IPv6"},
		{syscall.EMFILE, "dmesg"},
	} {
		err := &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", tt.errno)}
		got := listenRemedy(err, "metrics")
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.errno, got, tt.want)
		}
		if before, twice := seen[got]; twice && before != syscall.EACCES {
			t.Errorf("%s has the remedy of %s", tt.errno, before)
		}
		seen[got] = tt.errno
	}
}

// TestPublisherWeb: a broken web configuration is a problem, and refuses requests; a change of TLS needs a reload.
func TestPublisherWeb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publish(t)
		const at = "127.0.0.1:9650"
		path := filepath.Join(t.TempDir(), "web.yaml")
		file := func(content string) {
			put(t, path, content)
			time.Sleep(webFor + publishInterval)
			synctest.Wait()
		}
		p.apply(at, path)
		if found := p.problems(); len(found) != 1 || !strings.Contains(found[0].Text, "no such file") || p.ports.at(at) != nil {
			t.Errorf("without the file: %+v, %v", found, p.ports.open)
		}
		file("")
		if code, _ := p.ports.scrape(t, at); code != 200 || len(p.problems()) != 0 {
			t.Errorf("%d %v", code, p.problems())
		}
		file("basic_auth_users: {a: b}")
		if code, _ := p.ports.scrape(t, at); code != 500 || len(p.problems()) != 1 {
			t.Errorf("a broken file: %d %v", code, p.problems())
		}
		file("basic_auth_users: {}")
		if code, _ := p.ports.scrape(t, at); code != 200 || len(p.problems()) != 0 {
			t.Errorf("mended: %d %v", code, p.problems())
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(publishInterval)
		synctest.Wait()
		if code, _ := p.ports.scrape(t, at); code != 500 || len(p.problems()) != 1 {
			t.Errorf("the file is gone: %d %v", code, p.problems())
		}
	})
}

// TestRemoteNeedsCertificates: without certificates on both sides there is no port, and a problem that says what to write.
func TestRemoteNeedsCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := answering(t)
		const at = "127.0.0.1:9651"
		path := filepath.Join(t.TempDir(), "api.yaml")
		for _, content := range []string{"", "basic_auth_users: {}", "tls_server_config: {}"} {
			put(t, path, content)
			p.apply(at, path)
			time.Sleep(webFor + publishInterval)
			synctest.Wait()
			found := p.problems()
			if len(found) != 1 || !strings.HasPrefix(found[0].Text, "other machines are not answered at 127.0.0.1:9651: web_config "+path+": ") || p.ports.at(at) != nil {
				t.Errorf("%q: %+v, %v", content, found, p.ports.open)
			}
		}
		p.apply("", "")
		if len(p.problems()) != 0 {
			t.Errorf("no longer wanted: %+v", p.problems())
		}
	})
}
