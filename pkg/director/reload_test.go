package director

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse("cluster.yaml", []byte(text))
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg
}

// TestNamesChangeAtOneMoment: whenever the table loop asks during a reload that gives everything another name, it learns of
// the same pool. A moment at which nothing is known of a server would take it out, and cut its clients off.
func TestNamesChangeAtOneMoment(t *testing.T) {
	file := func(service, server string) *config.Config {
		return parse(t, fmt.Sprintf(`version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
virtual_servers:
  - {name: %s, address: 10.77.0.100, port: 3306, scheduler: rr, forward: dr, checks: [{type: tcp, interval: 10s}],
     real_servers: [{name: %s1, address: 10.77.0.11}, {name: %s2, address: 10.77.0.12}]}
`, service, server, server))
	}
	now, next := file("mysql", "mysql"), file("db", "node")
	d := New(Options{Config: now, Node: now.Directors[0], Log: slog.New(slog.DiscardHandler)})
	fine := func(context.Context, probe.Target) health.Result {
		return health.Result{Code: health.OK, Class: health.Good}
	}
	d.checker = checker.New(fine, func(string) (string, error) { return "", nil }, d.log, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.checker.Run(ctx) }()
	d.table = d.newTable(nil, now)
	d.switchTo(now)
	<-d.checker.Ready()

	enough, changed := make(chan struct{}), make(chan int)
	go func() {
		for times := 0; ; times++ {
			select {
			case <-enough:
				changed <- times
				return
			default:
				d.switchTo(next)
				now, next = next, now
			}
		}
	}()
	begun, most := time.Now(), 200*time.Millisecond
	for asked := 0; asked < 10 || time.Since(begun) < most; asked++ {
		if rules := lvs.Rules(d.table.loop.Desired(nil)); strings.Count(rules, "-a -t") != 2 {
			t.Errorf("after %d questions the pool is\n%s", asked, rules)
			break
		}
	}
	close(enough)
	t.Logf("%d changes", <-changed)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOnNewVIPs(t *testing.T) {
	file := func(vips string) *config.Config {
		return parse(t, `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}]
vrrp_instances: [{name: a, interface: eth0, virtual_router_id: 51, virtual_addresses: `+vips+`}]
virtual_servers:
  - {name: one, address: 10.77.0.100, port: 1, scheduler: rr, forward: dr, checks: [], real_servers: [{name: x, address: 10.77.0.11}]}
  - {name: two, address: 10.77.0.101, port: 2, scheduler: rr, forward: dr, checks: [], real_servers: [{name: x, address: 10.77.0.11}]}
`)
	}
	for _, tt := range []struct{ before, after, want string }{
		{"[10.77.0.100]", "[10.77.0.100]", ""},
		{"[10.77.0.100]", "[10.77.0.100, 10.77.0.101]", "tcp 10.77.0.101:2"},
		{"[10.77.0.102]", "[10.77.0.100, 10.77.0.101]", "tcp 10.77.0.100:1, tcp 10.77.0.101:2"},
		{"[10.77.0.100, 10.77.0.101]", "[10.77.0.100]", ""},
	} {
		var got []string
		for _, key := range onNewVIPs(file(tt.before), file(tt.after)) {
			got = append(got, key.String())
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("from %s to %s: %q, want %q", tt.before, tt.after, got, tt.want)
		}
	}
}
