package director

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/firewall"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/message"
	"github.com/lvs-director/lvs-director/pkg/reconcile"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// fakeKernel simulates a host and records the changes made to it, in the syntax of the standard tools.
type fakeKernel struct {
	shutsDown  time.Duration
	mu         sync.Mutex
	diverted   bool // packets to VIPs are not delivered here
	links      []kernel.Link
	addresses  []kernel.Address
	sysctls    map[string]string
	services   []lvs.Service
	answers    map[netip.Addr]health.Result // results of probes; other servers are up
	probed     map[netip.Addr]netip.Addr    // the source of the last probe of each server
	routes     map[netip.Addr]netip.Addr    // the preferred source of the route to a server
	lookups    int                          // of routes
	strict     bool                         // a probe from another source than that of the route gets no answer
	sockets    map[string]*fakeSocket       // by segment, the newest
	claimedBy  map[string]string            // the hardware address of another machine that claims an address
	answeredBy map[string]string            // likewise, of one that only answers requests
	asked      []netip.Addr                 // since the last claims were read
	opened     int                          // handles, sockets and tables that are open
	done       []string
	events     func(addr.Event)
	fail       map[string]error // errors by the prefix of the change
	daemons    []string         // other programs with a VRRP socket
	rules      firewall.Rules
	route      string        // the interface of every route; "": that of the network
	hidden     string        // the address of real servers that cheap reads lack
	stuck      chan struct{} // not nil: writes to the table block until it is closed
	silent     bool          // nothing is received from other machines that are asked
	inquiry    string        // the last source and targets of Hear
	sendTime   time.Duration // how long sending an advert takes
	sendError  error         // why no advert can be sent
	secondary  bool          // the host's own addresses come after the VIPs, whatever is added first

	bfd     fakeBFD
	tracked fakeTracks

	vipRules   vipRules
	markRules  markRules
	sourceNAT  kernel.SourceNAT
	replaces   uint32 // questions for its generation
	returnPath kernel.ReturnPath
	returns    uint32 // questions for their generation
	sync       []kernel.SyncDaemon
	exchange   fakeExchange
	quietRules kernel.Quiet

	fib        fib
	hops       map[netip.Addr]netip.Addr // next hops, by the address behind each
	quietHops  map[netip.Addr]bool       // next hops that discard no packet, or do not say so
	buckets    int                       // of the hash table of connections
	advertised map[string][]uint8        // virtual routers of other programs, by interface

	missing    map[string]bool // programs of hooks that do not exist
	hookStatus map[string]int
	hookTime   time.Duration

	positions      replication.Positions
	positionsError error
	posted         string
}

func newFakeKernel() *fakeKernel {
	k := &fakeKernel{
		sysctls: map[string]string{
			"net/ipv4/vs/sync_threshold": "3\t50", "net/ipv4/vs/sync_refresh_period": "0",
			"net/ipv4/vs/expire_nodest_conn": "0", "net/ipv4/ip_forward": "0", "net/ipv4/conf/all/send_redirects": "1",
			"net/ipv4/conf/eth0/send_redirects": "1", "net/ipv4/conf/eth1/send_redirects": "1",
		},
		answers: map[netip.Addr]health.Result{}, probed: map[netip.Addr]netip.Addr{}, routes: map[netip.Addr]netip.Addr{}, hops: map[netip.Addr]netip.Addr{}, quietHops: map[netip.Addr]bool{}, buckets: 4096, sockets: map[string]*fakeSocket{},
		missing: map[string]bool{}, hookStatus: map[string]int{}, claimedBy: map[string]string{}, answeredBy: map[string]string{}, fail: map[string]error{},
	}
	for n, name := range []string{"eth0", "eth1"} {
		k.links = append(k.links, kernel.Link{Index: n + 2, Name: name, Up: true, Carrier: true, HardwareAddr: "02:00:00:00:00:0" + fmt.Sprint(n)})
		k.addresses = append(k.addresses, kernel.Address{Interface: name, Prefix: netip.MustParsePrefix(fmt.Sprintf("10.%d.0.2/24", 77+n)), Global: true})
	}
	return k
}

// do records a change, or fails. mu is held.
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

// refuse makes changes with this prefix fail; nil ends that.
func (k *fakeKernel) refuse(start string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail[start] = err; err == nil {
		delete(k.fail, start)
	}
}

// history returns the changes since its last call.
func (k *fakeKernel) history() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	done := k.done
	k.done = nil
	return done
}

// change is a change by another process, reported as a kernel event.
func (k *fakeKernel) change(e addr.Event, f func()) {
	k.mu.Lock()
	f()
	events := k.events
	k.mu.Unlock()
	if events != nil {
		events(e)
	}
}

func (k *fakeKernel) has(iface, vip string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.addresses, func(a kernel.Address) bool { return a.Interface == iface && a.Prefix.String() == vip+"/32" })
}

func (k *fakeKernel) table() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return lvs.Rules(k.services)
}

func (k *fakeKernel) open() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened++
}

func (k *fakeKernel) closed() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened--
	return nil
}

func (k *fakeKernel) Addresses() (Addresses, error) {
	k.mu.Lock()
	err := k.fail["open netlink"]
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	k.open()
	return handle{k}, nil
}

func (k *fakeKernel) Announcer() Announcer { k.open(); return handle{k} }

// handle is an open handle to the kernel.
type handle struct{ *fakeKernel }

func (h handle) Close() error { return h.closed() }

func (h handle) Open(string) error { return nil }

func (k *fakeKernel) Links() ([]kernel.Link, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.links), k.fail["links"]
}

func (k *fakeKernel) ListOn(links []kernel.Link) ([]kernel.Address, error) {
	all, err := k.List("")
	return slices.DeleteFunc(all, func(a kernel.Address) bool {
		return !slices.ContainsFunc(links, func(l kernel.Link) bool { return l.Name == a.Interface })
	}), err
}

func (k *fakeKernel) List(string) ([]kernel.Address, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Clone(k.addresses)
	if k.secondary {
		slices.SortStableFunc(all, func(a, b kernel.Address) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	}
	return all, k.fail["list"]
}

func (k *fakeKernel) PutAs(iface string, p netip.Prefix, lease time.Duration, as kernel.Placement) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := slices.IndexFunc(k.addresses, func(a kernel.Address) bool { return a.Interface == iface && a.Prefix == p })
	if at >= 0 {
		k.addresses[at].Valid = lease
		return nil // a renewal
	}
	label := ""
	if as.Label != "" {
		label = " label " + as.Label
	}
	if err := k.do("ip addr add %s dev %s%s", p.Addr(), iface, label); err != nil {
		return err
	}
	k.addresses = append(k.addresses, kernel.Address{Interface: iface, Prefix: p, Valid: lease, Label: as.Label, Global: as.Scope == kernel.ScopeGlobal})
	return nil
}

func (k *fakeKernel) Remove(iface string, p netip.Prefix) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.do("ip addr del %s dev %s", p.Addr(), iface); err != nil {
		return err
	}
	k.drop(iface, p)
	return nil
}

func (k *fakeKernel) drop(iface string, p netip.Prefix) {
	k.addresses = slices.DeleteFunc(k.addresses, func(a kernel.Address) bool { return a.Interface == iface && a.Prefix == p })
}

func (k *fakeKernel) Announce(string, netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fail["announce"]
}

func (k *fakeKernel) Ask(_ string, vip netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, vip)
	return k.fail["announce"]
}

func (k *fakeKernel) Watch(ctx context.Context, deliver func(addr.Event)) error {
	k.mu.Lock()
	k.events = deliver
	err := k.fail["watch"]
	k.mu.Unlock()
	if err != nil {
		return err
	}
	deliver(addr.Event{Kind: addr.Resync})
	<-ctx.Done()
	return nil
}

func (k *fakeKernel) Sysctls() reconcile.SysctlKernel { return sysctls{k} }

type sysctls struct{ *fakeKernel }

func (s sysctls) Get(key string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, exists := s.sysctls[strings.ReplaceAll(key, ".", "/")]
	if !exists {
		return "", fmt.Errorf("read sysctl %s: %w", key, sysctl.ErrMissing)
	}
	return value, nil
}

func (s sysctls) Set(key, value string) (string, error) {
	before, err := s.Get(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = s.do("sysctl %s=%s", key, value)
	}
	if err == nil {
		s.sysctls[strings.ReplaceAll(key, ".", "/")] = value
	}
	return before, err
}

func (k *fakeKernel) ConnectionBuckets(context.Context) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.buckets, nil
}

func (k *fakeKernel) FindIPVS(context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fail["find ipvs"]
}

func (k *fakeKernel) Features(context.Context) kernel.Features {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := kernel.Features{Release: "6.1.0-fake"}
	for name := range k.fail {
		if feature, is := strings.CutPrefix(name, "feature "); is {
			f.All = append(f.All, kernel.Feature{Name: feature, Has: kernel.Absent, Why: "it is a fake"})
		}
	}
	return f
}

func (k *fakeKernel) Balancer() (Balancer, error) { k.open(); return handle{k}, nil }

func (k *fakeKernel) Scheduler(_ context.Context, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fail["scheduler "+name]
}

func (k *fakeKernel) Engine(_ context.Context, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fail["engine "+name]
}

func (k *fakeKernel) Zero(_ context.Context, keys []lvs.Key) (done int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		for _, s := range k.services {
			if s.Key == key {
				k.done = append(k.done, "ipvsadm -Z "+s.Key.String())
				done++
			}
		}
	}
	return done, k.fail["zero"]
}

func (k *fakeKernel) Services() ([]lvs.Service, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Clone(k.services)
	for i, s := range all {
		all[i].Servers = slices.DeleteFunc(slices.Clone(s.Servers), func(r lvs.Server) bool { return r.Address.String() == k.hidden })
	}
	return all, k.fail["services"]
}

func (k *fakeKernel) Fingerprint() (uint64, error) {
	services, err := k.Services()
	hash := fnv.New64()
	fmt.Fprint(hash, lvs.Rules(services))
	return hash.Sum64(), err
}

func (k *fakeKernel) Read(context.Context) ([]lvs.Service, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.services), k.fail["read"]
}

func (k *fakeKernel) ReadServices(ctx context.Context) ([]lvs.Service, error) {
	services, err := k.Read(ctx)
	for i := range services {
		services[i].Servers = nil
	}
	return services, err
}

func (k *fakeKernel) Apply(ctx context.Context, ops []lvs.Op) ([]lvs.Op, error) {
	k.mu.Lock()
	stuck := k.stuck
	k.mu.Unlock()
	if stuck != nil {
		<-stuck
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for n, op := range ops {
		if err := k.do("%s", op); err != nil {
			return ops[:n], err
		}
		k.services = lvs.Apply(k.services, []lvs.Op{op})
	}
	return ops, nil
}

func (k *fakeKernel) Advertised(within time.Duration) (map[string][]uint8, error) {
	time.Sleep(within)
	return k.advertised, nil
}

func (k *fakeKernel) VRRPDaemons() ([]string, error) { return k.daemons, nil }

func (k *fakeKernel) Suspended() time.Duration { return 0 }

func (k *fakeKernel) KeepResident() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fail["mlock"]
}

// ShutsDown says yes after shutsDown, if that is not 0.
func (k *fakeKernel) ShutsDown(ctx context.Context) bool {
	if k.shutsDown == 0 {
		return false
	}
	timer := time.NewTimer(k.shutsDown)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (k *fakeKernel) Firewall(_ context.Context, family kernel.Family) (firewall.Rules, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rules, k.fail["firewall"]
}

func (k *fakeKernel) Undelivered(all []kernel.IfAddr) ([]kernel.IfAddr, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.diverted {
		all = nil
	}
	return all, k.fail["local"]
}

// RunHook takes hookTime. Hooks in hookStatus end with that exit status.
func (k *fakeKernel) RunHook(ctx context.Context, c command.Command, try bool) command.Outcome {
	k.mu.Lock()
	missing, status, takes := k.missing[c.Argv[0]], k.hookStatus[c.Argv[0]], k.hookTime
	k.mu.Unlock()
	if missing {
		return command.Outcome{Unrunnable: c.Argv[0] + " does not exist"}
	}
	if try {
		return command.Outcome{}
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return command.Outcome{TimedOut: true}
	}
	var state string
	for _, v := range c.Env {
		if value, found := strings.CutPrefix(v, "LVS_STATE="); found {
			state = value
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.do("hook %s in %s", strings.Join(c.Argv, " "), state)
	return command.Outcome{Status: status, Output: "as " + c.User}
}

func (k *fakeKernel) Post(_ context.Context, to, authorization string, body []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.posted = string(body)
	return k.do("post to %s with %q", to, authorization)
}

func (k *fakeKernel) SendMail(_ context.Context, m message.Mail) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.do("mail to %s by %s: %s", strings.Join(m.To, ", "), m.Server.Server, m.Subject)
}
