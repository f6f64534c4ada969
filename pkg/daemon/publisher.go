package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/scrape"
)

const (
	// publishInterval is how often a port that could not be opened is tried again, and the web configuration is looked at.
	publishInterval = 2 * time.Second
	// webWithin limits reading the web configuration, for each request too.
	webWithin = time.Second
)

// measured is a service with metrics.
type measured interface {
	// Metrics returns what they are made from. It waits for a second at most.
	Metrics(ctx context.Context) metrics.Node
	// MetricsAt returns where a cluster file wants them; invalid: nowhere.
	MetricsAt(cfg *config.Config) netip.AddrPort
}

// place is where metrics are published.
type place struct {
	at  netip.AddrPort // invalid: nowhere
	web string         // the web configuration file; "" for none
	tls bool           // as it asked for when the port was opened
}

// publisher publishes the metrics where the cluster file that runs says. Its goroutine is no loop that the watchdog waits for: it reads
// files.
type publisher struct {
	service measured // nil: there are no metrics
	events  *tally
	loops   func() *heartbeat.Set
	running func() *config.Config // nil before a file runs
	listen  func(netip.AddrPort) (net.Listener, error)
	log     *slog.Logger
	started time.Time
	changed chan struct{} // capacity 1: another file runs
	disk    *disk

	// Owned by run.
	open  place
	close func()
	ended chan error // of the server

	trouble trouble

	webMu sync.Mutex // held while the web configuration is read
	read  readWeb
}

// readWeb is what was read of a web configuration.
type readWeb struct {
	path string
	at   time.Time
	web  scrape.Web
	err  error
}

// webFor is how long a web configuration counts after it was read: for those who connect again and again it is read once in that time.
const webFor = time.Second

func newPublisher(events *tally, running func() *config.Config, log *slog.Logger) *publisher {
	return &publisher{
		events: events, running: running, listen: listenTCP, log: log, started: time.Now(), changed: make(chan struct{}, 1), disk: newDisk(), close: func() {},
	}
}

// applied says that another file may run. It does not block.
func (p *publisher) applied() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run publishes until ctx ends.
func (p *publisher) run(ctx context.Context) {
	if p.service == nil {
		return
	}
	defer func() { p.close() }()
	var tick *heartbeat.Ticker // nil while nothing is to be published
	defer func() {
		if tick != nil {
			tick.Stop()
		}
	}()
	for {
		var ticks <-chan time.Time
		if tick != nil {
			ticks = tick.C
		}
		reopen := false
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
			reopen = true
		case err := <-p.ended:
			p.shut()
			p.log.Error("metrics are no longer published; trying again", "error", err)
		case <-ticks:
		}
		want := p.wanted()
		if want.at.IsValid() && tick == nil {
			tick = heartbeat.NewTicker(publishInterval)
		} else if !want.at.IsValid() && tick != nil {
			tick.Stop()
			tick = nil
		}
		p.report(want, p.follow(ctx, want, reopen))
	}
}

// wanted returns where the file that runs wants the metrics.
func (p *publisher) wanted() place {
	cfg := p.running()
	if cfg == nil {
		return place{}
	}
	at := p.service.MetricsAt(cfg)
	if !at.IsValid() {
		return place{}
	}
	return place{at: at, web: cfg.Metrics.WebConfig}
}

// follow opens and closes the port. After a reload a port that is open with another kind of web configuration is opened again.
func (p *publisher) follow(ctx context.Context, want place, reload bool) error {
	if p.open.at != want.at || p.open.web != want.web {
		p.shut()
	}
	if !want.at.IsValid() {
		return nil
	}
	web, err := p.web(want.web)
	if err != nil {
		return err // an open port refuses requests
	}
	if want.tls = web.TLS(); p.open.at.IsValid() && p.open != want {
		if !reload {
			return fmt.Errorf("web_config %s has tls_server_config now and had not before, or the other way round: run lvsctl reload", want.web)
		}
		p.shut()
	}
	if p.open == want {
		return nil
	}
	listener, err := p.listen(want.at)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, listenRemedy(err))
	}
	p.serve(ctx, listener, want)
	return nil
}

// serve begins to answer on a listener.
func (p *publisher) serve(ctx context.Context, listener net.Listener, at place) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		err := scrape.Serve(ctx, listener, scrape.Options{
			Metrics: p.node, Web: func() (scrape.Web, error) { return p.web(at.web) }, TLS: at.tls, Log: p.log,
		})
		if ctx.Err() == nil {
			ended <- errors.Join(errors.New("the server has ended"), err)
		}
	}()
	p.open, p.ended = at, ended
	p.close = func() {
		cancel()
		<-gone
	}
	p.log.Info("metrics are published", "address", at.at.String(), "tls", at.tls)
}

// shut closes the port if it is open.
func (p *publisher) shut() {
	if p.open.at.IsValid() {
		p.log.Info("metrics are no longer published", "address", p.open.at.String())
	}
	p.close()
	p.open, p.close, p.ended = place{}, func() {}, nil
}

// web reads the web configuration. A disk that hangs makes it fail.
func (p *publisher) web(path string) (scrape.Web, error) {
	if path == "" {
		return scrape.Web{}, nil
	}
	p.webMu.Lock()
	defer p.webMu.Unlock()
	if p.read.path == path && time.Since(p.read.at) < webFor {
		return p.read.web, p.read.err
	}
	w, err := ask(p.disk, webWithin, func() (scrape.Web, error) { return scrape.Load(path) })
	if errors.Is(err, errNoAnswer) {
		err = fmt.Errorf("web_config %s: %w within %s", path, err, webWithin)
	}
	p.read = readWeb{path, time.Now(), w, err}
	return w, err
}

// node returns what the metrics are made from.
func (p *publisher) node(ctx context.Context) metrics.Node {
	n := p.service.Metrics(ctx)
	n.GoVersion, n.Started, n.Events = runtime.Version(), p.started, p.events.counts()
	n.Loops = loopCounts(p.loops())
	return n
}

// loopCounts adds up the loops of the same name.
func loopCounts(loops *heartbeat.Set) []metrics.LoopCount {
	var all []metrics.LoopCount
	at := map[string]int{}
	for _, c := range loops.Counts() {
		i, known := at[c.Name]
		if !known {
			i = len(all)
			at[c.Name] = i
			all = append(all, metrics.LoopCount{Name: c.Name})
		}
		all[i].Beats += c.Beats
	}
	return all
}

// report publishes the problem, and logs when it begins and ends.
func (p *publisher) report(want place, err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("the metrics are not published at %s: %v", want.at, err)
	}
	switch {
	case !p.trouble.set(text):
	case text != "":
		p.log.Error("cannot publish the metrics; trying again", "problem", text)
	default:
		p.log.Info("the metrics can be published again, or are no longer wanted")
	}
}

// problems returns why the metrics are not published, if they should be.
func (p *publisher) problems() []problem.Finding {
	return p.trouble.findings(problem.MetricsNotPublished)
}

// listenRemedy returns what to do about a port that cannot be opened.
func listenRemedy(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has the port: find it with ss -ltnp and end it, or choose another port in metrics"
	case errors.Is(err, fs.ErrPermission):
		return "choose a port from 1024 on in metrics: those below need CAP_NET_BIND_SERVICE, which the systemd units do not give"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have the address: write 127.0.0.1, or 0.0.0.0 for all addresses of IPv4, in metrics"
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return "this machine has no IPv6: write 127.0.0.1, or 0.0.0.0 for all addresses of IPv4, in metrics"
	default:
		return "see dmesg, or choose another address or port in metrics"
	}
}

// listenTCP opens a port. 0.0.0.0 is IPv4 only, :: both families.
func listenTCP(at netip.AddrPort) (net.Listener, error) {
	network := "tcp"
	if at.Addr().Is4() {
		network = "tcp4"
	}
	return net.Listen(network, at.String())
}
