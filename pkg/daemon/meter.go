package daemon

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/metrics"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/scrape"
)

// measured is a service with metrics.
type measured interface {
	// Metrics returns what they are made from. It waits for a second at most.
	Metrics(ctx context.Context) metrics.Node
	// MetricsAt returns where a cluster file wants them; invalid: nowhere.
	MetricsAt(cfg *config.Config) netip.AddrPort
}

// meter makes the metrics of a daemon.
type meter struct {
	service measured
	events  *tally
	loops   func() *heartbeat.Set
	started time.Time
}

// offer is what the cluster file publishes under metrics.
func (m *meter) offer(p *publisher, log *slog.Logger) *offer {
	return &offer{
		name: "metrics", key: "metrics", code: problem.MetricsNotPublished, lost: "the metrics are not published",
		at: func(cfg *config.Config) (netip.AddrPort, string) {
			return m.service.MetricsAt(cfg), cfg.Metrics.WebConfig
		},
		accept: func(scrape.Web) error { return nil },
		serve: func(ctx context.Context, l net.Listener, at place) error {
			return scrape.Serve(ctx, l, scrape.Options{Metrics: m.node, Web: func() (scrape.Web, error) { return p.web(at.web) }, TLS: at.tls, Log: log})
		},
	}
}

// node returns what the metrics are made from.
func (m *meter) node(ctx context.Context) metrics.Node {
	n := m.service.Metrics(ctx)
	n.GoVersion, n.Started, n.Events = runtime.Version(), m.started, m.events.counts()
	n.Loops = loopCounts(m.loops())
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
