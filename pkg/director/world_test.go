package director

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/logtest"
)

// machine is a fake kernel with a director, in the fake time of a synctest bubble.
type machine struct {
	*fakeKernel
	*Director
	t    *testing.T
	dir  string
	log  logtest.Buffer
	file string // the content for the next reload
	stop func() error
	recorded
}

// world runs a test on a machine.
func world(t *testing.T, run func(t *testing.T, m *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &machine{t: t, fakeKernel: newFakeKernel(), dir: t.TempDir(), stop: func() error { return nil }}
		m.recorded = recording(m.dir, &m.log)
		defer func() { _ = m.stop() }()
		run(t, m)
	})
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse("cluster.yaml", []byte(text))
	if cfg == nil {
		t.Fatal(problems)
	}
	return cfg
}

func (m *machine) options(file string) Options {
	m.file = file
	cfg := parse(m.t, file)
	return Options{
		Config: cfg, Node: cfg.Directors[0], StateDir: m.dir, Version: "test", Kernel: m.fakeKernel,
		Load: func() (*config.Config, error) {
			cfg, problems := config.Parse("cluster.yaml", []byte(m.file))
			if cfg == nil {
				return nil, fmt.Errorf("%v", problems)
			}
			return cfg, nil
		},
		Log: slog.New(slog.NewTextHandler(&m.log, nil)), Started: func() {}, Record: m.journal.Record,
	}
}

// begin starts a director; stop ends it, once.
func (m *machine) begin(file string) { m.runs(m.options(file)) }

func (m *machine) runs(o Options) {
	m.Director = New(o)
	d := m.Director
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	m.stop = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		return err
	})
}

// start calls begin and waits until the director is MASTER of all instances.
func (m *machine) start(file string) {
	m.t.Helper()
	m.begin(file)
	m.pass(5 * time.Second)
	for _, i := range m.Status().Instances {
		if i.State != "MASTER" {
			m.t.Fatalf("%s is %s (%s) after the start\n%s", i.Name, i.State, i.Reason, m.log.String())
		}
	}
	m.history()
}

// pass advances the time.
func (m *machine) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (m *machine) reload(file string) {
	m.t.Helper()
	m.file = file
	if err := m.Reload(m.t.Context(), true); err != nil {
		m.t.Fatal(err)
	}
	m.pass(time.Second)
}

// expect compares the changes since the last call with those wanted.
func (m *machine) expect(when string, want ...string) {
	m.t.Helper()
	if got := m.history(); !slices.Equal(got, want) {
		m.t.Errorf("%s:\n\t%s\nwant\n\t%s", when, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (m *machine) state(instance string) string {
	for _, i := range m.Status().Instances {
		if i.Name == instance {
			return i.State
		}
	}
	return "none"
}

const electing = `version: 1
directors: [{name: lvs-master, address: 10.77.0.2}, {name: lvs-backup, address: 10.77.0.3}]
vrrp_instances:
`

// router returns an instance for the cluster file.
func router(name, iface string, vrid int, vips ...string) string {
	return fmt.Sprintf("  - {name: %s, interface: %s, virtual_router_id: %d, advert_interval: 100ms, virtual_addresses: [%s]}\n",
		name, iface, vrid, strings.Join(vips, ", "))
}

// balancing returns a virtual server for the cluster file, after its instances.
func balancing(name, vip, forward string, servers ...string) string {
	text := fmt.Sprintf("  - {name: %s, address: %s, port: 3306, scheduler: rr, forward: %s, checks: [{type: tcp, interval: 1s}], real_servers: [", name, vip, forward)
	for n, server := range servers {
		text += fmt.Sprintf("{name: %s%d, address: %s}, ", name, n+1, server)
	}
	return text + "]}\n"
}

const virtualServers = "virtual_servers:\n"
