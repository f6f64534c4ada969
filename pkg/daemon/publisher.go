package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/scrape"
)

const (
	// publishInterval is how often a port that could not be opened is tried again, and the web configuration is looked at.
	publishInterval = 2 * time.Second
	// webWithin limits reading the web configuration, for each request too.
	webWithin = time.Second
)

// offer is what a daemon offers at a TCP port.
type offer struct {
	name string // for the log
	key  string // the section of the cluster file
	code problem.Code
	lost string // what it means that the port is not open
	// at returns where a cluster file wants it, and with which web configuration; invalid: nowhere.
	at func(cfg *config.Config) (netip.AddrPort, string)
	// accept returns why it cannot be offered with a web configuration; nil if it can.
	accept func(scrape.Web) error
	// serve answers until ctx ends, and closes the listener.
	serve func(ctx context.Context, l net.Listener, at place) error
}

// place is where something is offered.
type place struct {
	at  netip.AddrPort // invalid: nowhere
	web string         // the web configuration file; "" for none
	tls bool           // as it asked for when the port was opened
}

// publisher opens a port where the cluster file that runs says. Its goroutine is no loop that the watchdog waits for: it reads
// files.
type publisher struct {
	offer   *offer                // nil: nothing is offered
	running func() *config.Config // nil before a file runs
	listen  func(netip.AddrPort) (net.Listener, error)
	log     *slog.Logger
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

func newPublisher(running func() *config.Config, log *slog.Logger) *publisher {
	return &publisher{running: running, listen: listenTCP, log: log, changed: make(chan struct{}, 1), disk: newDisk(), close: func() {}}
}

// applied says that another file may run. It does not block.
func (p *publisher) applied() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run keeps the port open until ctx ends.
func (p *publisher) run(ctx context.Context) {
	if p.offer == nil {
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
			p.log.Error("a port is no longer open; trying again", "for", p.offer.name, "error", err)
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

// wanted returns where the file that runs wants the port.
func (p *publisher) wanted() place {
	cfg := p.running()
	if cfg == nil {
		return place{}
	}
	at, web := p.offer.at(cfg)
	if !at.IsValid() {
		return place{}
	}
	return place{at: at, web: web}
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
	if err := p.offer.accept(web); err != nil {
		return fmt.Errorf("web_config %s: %w", want.web, err)
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
		return fmt.Errorf("%w (%s)", err, listenRemedy(err, p.offer.key))
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
		err := p.offer.serve(ctx, listener, at)
		if ctx.Err() == nil {
			ended <- errors.Join(errors.New("the server has ended"), err)
		}
	}()
	p.open, p.ended = at, ended
	p.close = func() {
		cancel()
		<-gone
	}
	p.log.Info("a port is open", "for", p.offer.name, "address", at.at.String(), "tls", at.tls)
}

// shut closes the port if it is open.
func (p *publisher) shut() {
	if p.open.at.IsValid() {
		p.log.Info("a port is closed", "for", p.offer.name, "address", p.open.at.String())
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

// report publishes the problem, and logs when it begins and ends.
func (p *publisher) report(want place, err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("%s at %s: %v", p.offer.lost, want.at, err)
	}
	switch {
	case !p.trouble.set(text):
	case text != "":
		p.log.Error("cannot open a port; trying again", "problem", text)
	default:
		p.log.Info("a port can be opened again, or is no longer wanted", "for", p.offer.name)
	}
}

// problems returns why the port is not open, if it should be.
func (p *publisher) problems() []problem.Finding {
	if p.offer == nil {
		return nil
	}
	return p.trouble.findings(p.offer.code)
}

// listenRemedy returns what to do about a port that cannot be opened.
func listenRemedy(err error, key string) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has the port: find it with ss -ltnp and end it, or choose another port in " + key
	case errors.Is(err, fs.ErrPermission):
		return "choose a port from 1024 on in " + key + ": those below need CAP_NET_BIND_SERVICE, which the systemd units do not give"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have the address: write 127.0.0.1, or 0.0.0.0 for all addresses of IPv4, in " + key
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return "this machine has no IPv6: write 127.0.0.1, or 0.0.0.0 for all addresses of IPv4, in " + key
	default:
		return "see dmesg, or choose another address or port in " + key
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
