package realserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// fakeKernel is a fake machine: links, addresses, sysctls, and a log of changes as commands of the standard tools.
type fakeKernel struct {
	mu        sync.Mutex
	links     []addr.Link
	addresses []addr.Address
	sysctls   map[string]string
	gateway   netip.Addr
	listening []netip.AddrPort
	receiving []netip.AddrPort // UDP
	rules     firewall.Rules
	diverted  bool // packets to VIPs are not delivered here
	done      []string
	events    func(addr.Event)

	fail  map[string]error // by prefix of the logged command
	stuck chan struct{}    // not nil: Links blocks until it is closed
}

func newKernel(links ...addr.Link) *fakeKernel {
	k := &fakeKernel{sysctls: map[string]string{}, fail: map[string]error{}}
	for _, name := range []string{"all", "default"} {
		k.sysctls[confKey(name, "arp_ignore")], k.sysctls[confKey(name, "arp_announce")] = "0", "0"
	}
	for _, l := range links {
		k.plug(l)
	}
	for port := range uint16(10) {
		k.listening = append(k.listening, netip.AddrPortFrom(netip.IPv4Unspecified(), 3306+port))
	}
	k.addresses = []addr.Address{{Interface: "eth0", Prefix: netip.MustParsePrefix(rip + "/24"), Global: true}}
	return k
}

// plug adds an interface with the kernel's defaults and sends an event.
func (k *fakeKernel) plug(l addr.Link) {
	k.mu.Lock()
	k.links = append(k.links, l)
	for _, name := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
		k.sysctls[confKey(l.Name, name)] = "0"
	}
	k.mu.Unlock()
	k.tell()
}

// unplug removes an interface with its addresses and sysctls.
func (k *fakeKernel) unplug(name string) {
	k.mu.Lock()
	k.links = slices.DeleteFunc(k.links, func(l addr.Link) bool { return l.Name == name })
	k.addresses = slices.DeleteFunc(k.addresses, func(a addr.Address) bool { return a.Interface == name })
	for _, s := range []string{"arp_ignore", "arp_announce", "rp_filter"} {
		delete(k.sysctls, confKey(name, s))
	}
	k.mu.Unlock()
	k.tell()
}

func (k *fakeKernel) tell() {
	k.mu.Lock()
	events := k.events
	k.mu.Unlock()
	if events != nil {
		events(addr.Event{Kind: addr.Resync})
	}
}

func (k *fakeKernel) watch(ctx context.Context, deliver func(addr.Event)) error {
	k.mu.Lock()
	k.events = deliver
	k.mu.Unlock()
	deliver(addr.Event{Kind: addr.Resync})
	<-ctx.Done()
	return nil
}

// do logs a change, or fails.
func (k *fakeKernel) do(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	for start, err := range k.fail {
		if strings.HasPrefix(what, start) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	k.done = append(k.done, what)
	return nil
}

func (k *fakeKernel) Links() ([]addr.Link, error) {
	k.mu.Lock()
	stuck := k.stuck
	k.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.links), k.fail["links"]
}

func (k *fakeKernel) List(string) ([]addr.Address, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.addresses), nil
}

func (k *fakeKernel) Put(iface string, p netip.Prefix, lease time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.do("ip addr replace %s dev %s", p, iface); err != nil {
		return err
	}
	k.drop(iface, p)
	k.addresses = append(k.addresses, addr.Address{Interface: iface, Prefix: p, Valid: lease, Global: true})
	return nil
}

func (k *fakeKernel) Remove(iface string, p netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.do("ip addr del %s dev %s", p, iface); err != nil {
		return err
	}
	k.drop(iface, p)
	return nil
}

func (k *fakeKernel) drop(iface string, p netip.Prefix) {
	k.addresses = slices.DeleteFunc(k.addresses, func(a addr.Address) bool { return a.Interface == iface && a.Prefix == p })
}

func (k *fakeKernel) SetUp(iface string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.links {
		if k.links[i].Name == iface {
			k.links[i].Up = true
		}
	}
	return k.do("ip link set %s up", iface)
}

func (k *fakeKernel) Get(key string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, exists := k.sysctls[key]
	if !exists {
		return "", fmt.Errorf("read sysctl %s: %w", key, sysctl.ErrMissing)
	}
	return value, nil
}

func (k *fakeKernel) Set(key, value string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	previous, exists := k.sysctls[key]
	switch {
	case !exists:
		return "", fmt.Errorf("set sysctl %s: %w", key, sysctl.ErrMissing)
	case previous == value:
		return previous, nil
	}
	if err := k.do("sysctl %s=%s", key, value); err != nil {
		return previous, err
	}
	k.sysctls[key] = value
	return previous, nil
}

// foreignDel is `ip addr del` by another process.
func (k *fakeKernel) foreignDel(a kernel.IfAddr) {
	k.mu.Lock()
	k.drop(a.Interface, a.Prefix)
	k.mu.Unlock()
	k.tell()
}

// foreignSet is `sysctl -w` by another process, for which there is no event.
func (k *fakeKernel) foreignSet(key, value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sysctls[key] = value
}

func (k *fakeKernel) value(key string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sysctls[key]
}

// history returns the changes since its last call.
func (k *fakeKernel) history() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	done := k.done
	k.done = nil
	return done
}

// machine is a fake kernel with an agent, in a synctest bubble.
type machine struct {
	*fakeKernel
	t     *testing.T
	agent *Agent
	dir   string
	log   logtest.Buffer
	next  *config.Config // the result of the next Load
	err   error          // or its error
	// events are the recorded events, and others the problems of the surrounding daemon.
	events []event.Event
	others []problem.Finding
	stop   func() error
}

func newMachine(t *testing.T, links ...addr.Link) *machine {
	return &machine{t: t, fakeKernel: newKernel(links...), dir: t.TempDir(), err: errors.New("no reload was expected")}
}

// start runs an agent until it has settled. Stopping it twice is not an error.
func (m *machine) start(cfg *config.Config) {
	m.t.Helper()
	l, err := statefile.Open(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	m.agent = New(Options{
		Config: cfg, Names: []string{node}, Version: "test",
		Load: func() (*config.Config, error) { return m.next, m.err },
		Log:  slog.New(slog.NewTextHandler(&m.log, nil)), Record: m.record,
		Problems: func() []problem.Finding { return m.others },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- m.agent.Run(ctx, Effects{
			Addresses: m, Sysctls: m, Watch: m.watch, StateFile: l,
			Gateway: func(netip.Addr) (netip.Addr, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.gateway, nil
			},
			Listeners: func(protocol string) ([]netip.AddrPort, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				if protocol != "tcp" {
					return m.receiving, m.fail["listeners"]
				}
				return m.listening, m.fail["listeners"]
			},
			Local: func(a netip.Addr) (bool, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				return !m.diverted, m.fail["local"]
			},
			Firewall: func(context.Context, kernel.Family) (firewall.Rules, error) {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.rules, m.fail["firewall"]
			},
		})
	}()
	m.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, l.Close())
	})
	m.t.Cleanup(func() { _ = m.stop() })
	m.settle()
}

// settle waits until everything that is due within a second is done.
func (m *machine) settle() { m.pass(time.Second) }

// pass advances the time.
func (m *machine) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// leadThrough sets the gateway to clients.
func (m *machine) leadThrough(gateway string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gateway = netip.MustParseAddr(gateway)
}

// failing makes the kernel refuse commands with the prefix start; a nil error ends that.
func (m *machine) failing(start string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail[start] = err; err == nil {
		delete(m.fail, start)
	}
}

// crash ends the agent like kill -9: nothing is undone.
func (m *machine) crash() {
	m.t.Helper()
	m.mu.Lock()
	saved := slices.Clone(m.addresses)
	before := map[string]string{}
	for k, v := range m.sysctls {
		before[k] = v
	}
	m.mu.Unlock()
	state := readAll(m.t, m.dir)
	_ = m.stop()
	m.mu.Lock()
	m.addresses, m.sysctls, m.done = saved, before, nil
	m.mu.Unlock()
	writeAll(m.t, m.dir, state)
}

// withdraw runs Withdraw as for a node that the file no longer names.
func (m *machine) withdraw(t *testing.T) {
	t.Helper()
	l, err := statefile.Open(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Withdraw(Effects{Addresses: m, Sysctls: m, StateFile: l}, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
