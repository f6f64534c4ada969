package checker

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

var (
	good    = health.Result{Code: health.OK, Class: health.Good, Cause: "mysql: answered in 3ms"}
	refused = health.Result{Code: health.Refused, Class: health.Bad, Cause: "mysql: dial 10.77.0.12:3306: connection refused"}
	denied  = health.Result{Code: health.Auth, Class: health.Unknown, Cause: "mysql: access denied"}
	late    = health.Result{Code: health.Timeout, Class: health.Bad, Cause: "mysql: no answer within 800ms"}
)

// farm is a set of servers, all of which are good until set.
type farm struct {
	mu      sync.Mutex
	answers map[netip.AddrPort]func(context.Context) health.Result
	asked   map[netip.AddrPort][]time.Time
	now     int
	most    int // probes at the same time
	twice   int // probes of one server at the same time, beyond the first
	busy    map[netip.AddrPort]int
	targets []probe.Target
}

func newFarm() *farm {
	return &farm{
		answers: map[netip.AddrPort]func(context.Context) health.Result{},
		asked:   map[netip.AddrPort][]time.Time{}, busy: map[netip.AddrPort]int{},
	}
}

func (f *farm) probe(ctx context.Context, t *probe.Target) health.Result {
	f.mu.Lock()
	f.asked[t.Address] = append(f.asked[t.Address], time.Now())
	f.targets = append(f.targets, *t)
	f.now++
	f.most = max(f.most, f.now)
	f.twice += f.busy[t.Address]
	f.busy[t.Address]++
	answer := f.answers[t.Address]
	f.mu.Unlock()
	r := good
	if answer != nil {
		r = answer(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now--
	f.busy[t.Address]--
	return r
}

func (f *farm) set(server string, answer func(context.Context) health.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[netip.MustParseAddrPort(server)] = answer
}

func (f *farm) times(server string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[netip.MustParseAddrPort(server)]
}

func always(r health.Result) func(context.Context) health.Result {
	return func(context.Context) health.Result { return r }
}

// dead times out, like a host that is gone.
func dead(ctx context.Context) health.Result { <-ctx.Done(); return late }

// diary records the calls of onChange and the log.
type diary struct {
	logtest.Buffer
	began   time.Time
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(subject config.Subject, _, v health.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, fmt.Sprintf("%v %s: %s", time.Since(d.began), subject, v.Reason))
}

func (d *diary) changes() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.entries...)
}

func mysqlCheck() config.Check {
	return config.Check{Kind: config.MySQLCheck{User: "lvs_check"}, Interval: time.Second, Timeout: 800 * time.Millisecond, Rise: 2, Fall: 2}
}

// named is the subject with a name like those of logs: a real server, "mysql/mysql1", or else a track.
func named(name string) config.Subject {
	if service, server, ok := strings.Cut(name, "/"); ok {
		return config.Subject{Server: config.ServerID{Service: service, Server: server}}
	}
	return config.Subject{Track: config.TrackID(name)}
}

func spec(name, server string, checks ...config.Check) Spec {
	at := netip.MustParseAddrPort(server)
	if checks == nil {
		checks = []config.Check{mysqlCheck()}
	}
	return Spec{Subject: named(name), Address: at.Addr(), Port: at.Port(), Checks: checks}
}

// world runs a test in a bubble of virtual time, with a running Checker.
func world(t *testing.T, test func(t *testing.T, c *Checker, f *farm, d *diary)) {
	t.Helper()
	worldWith(t, func(*Checker) *keeper { return nil }, func(t *testing.T, c *Checker, f *farm, d *diary, _ *keeper) { test(t, c, f, d) })
}

// worldWith is world with a Checker that keep has prepared.
func worldWith(t *testing.T, keep func(*Checker) *keeper, test func(t *testing.T, c *Checker, f *farm, d *diary, k *keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, d := newFarm(), &diary{began: time.Now()}
		secrets := func(file string) (string, error) { return "secret of " + file, nil }
		c := New(f.probe, secrets,
			slog.New(slog.NewTextHandler(d, nil)), d.note)
		k := keep(c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		test(t, c, f, d, k)
	})
}

// pass lets virtual time pass, and everything due at its end happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func ready(c *Checker) bool {
	select {
	case <-c.Ready():
		return true
	default:
		return false
	}
}

const (
	one = "10.77.0.11:3306"
	two = "10.77.0.12:3306"
)
