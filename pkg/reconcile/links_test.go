package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// fakeLinks are the interfaces of a host, its sysctls and the records of a daemon.
type fakeLinks struct {
	mu      sync.Mutex
	links   []kernel.Link
	values  map[string]string
	records []string
	next    int
	refuse  error
}

func (f *fakeLinks) Links() ([]kernel.Link, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.links), nil
}

func (f *fakeLinks) Add(v kernel.VirtualLink) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return f.refuse
	}
	if !slices.Contains(f.records, v.Name) {
		return errors.New("added before it was recorded")
	}
	f.next++
	parent, _ := named(f.links, v.Parent)
	f.links = append(f.links, kernel.Link{Index: f.next, Name: v.Name, Kind: v.Kind, HardwareAddr: v.HardwareAddr, Parent: parent.Index})
	return nil
}

func (f *fakeLinks) Remove(v kernel.VirtualLink, index int) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.links)
	f.links = slices.DeleteFunc(f.links, func(l kernel.Link) bool { return l.Index == index && l.Name == v.Name })
	return len(f.links) < before, nil
}

func (f *fakeLinks) Get(key string) (string, error) { return f.Set(key, "") }

func (f *fakeLinks) Set(key, value string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, exists := f.values[key]
	if !exists && strings.HasPrefix(key, "net/ipv6") {
		return "", errors.New("no IPv6")
	}
	if value != "" {
		f.values[key] = value
	}
	return before, nil
}

func (f *fakeLinks) RecordLink(v kernel.VirtualLink) error {
	f.records = append(f.records, v.Name)
	return nil
}

func (f *fakeLinks) ForgetLink(v kernel.VirtualLink) error {
	f.records = slices.DeleteFunc(f.records, func(name string) bool { return name == v.Name })
	return nil
}

func (f *fakeLinks) names() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.links {
		all = append(all, fmt.Sprintf("%s %s", l.Name, l.HardwareAddr))
	}
	return all
}

func keepingLinks(t *testing.T) (*Links, *fakeLinks, func()) {
	f := &fakeLinks{links: []kernel.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}}, values: map[string]string{}, next: 9}
	l := NewLinks(LinkOptions{Kernel: f, Sysctls: f, Records: f, Saved: func(error) {}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return l, f, func() { cancel(); <-done }
}

var (
	link51 = kernel.VirtualLink{Name: "vrrp.51", Kind: kernel.Macvlan, Parent: "eth0", HardwareAddr: "00:00:5e:00:01:33"}
	link52 = kernel.VirtualLink{Name: "vrrp6.52", Kind: kernel.Macvlan, Parent: "eth1", HardwareAddr: "00:00:5e:00:02:34", IPv6: true}
)

// The loop beats more often than it looks.
func TestLinksBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loops heartbeat.Set
		f := &fakeLinks{values: map[string]string{}}
		l := NewLinks(LinkOptions{Kernel: f, Sysctls: f, Records: f, Saved: func(error) {}, Log: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(heartbeat.With(t.Context(), loops.Start(l.Name())))
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		beating(t, &loops, time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestLinks: interfaces are recorded, added with their sysctls, replaced when they are wanted elsewhere, and removed only when
// the VIPs have had time to leave them.
func TestLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, stop := keepingLinks(t)
		defer stop()
		for _, name := range []string{"addr_gen_mode", "accept_ra", "force_mld_version", "disable_ipv6"} {
			f.values["net/ipv6/conf/vrrp6.52/"+name] = "9"
		}
		l.Set([]kernel.VirtualLink{link51, link52})
		if got := f.names(); len(l.Unmade()) > 0 || !slices.Equal(got[2:], []string{"vrrp.51 00:00:5e:00:01:33", "vrrp6.52 00:00:5e:00:02:34"}) {
			t.Errorf("%v, %v", got, l.Unmade())
		}
		want := map[string]string{
			"net/ipv4/conf/vrrp.51/arp_ignore": "1", "net/ipv4/conf/vrrp.51/rp_filter": "2",
			"net/ipv4/conf/vrrp6.52/arp_ignore": "1", "net/ipv4/conf/vrrp6.52/rp_filter": "2", "net/ipv6/conf/vrrp6.52/addr_gen_mode": "1",
			"net/ipv6/conf/vrrp6.52/accept_ra": "0", "net/ipv6/conf/vrrp6.52/force_mld_version": "1", "net/ipv6/conf/vrrp6.52/disable_ipv6": "0",
		}
		if !maps.Equal(f.values, want) {
			t.Errorf("sysctls: %v", f.values)
		}
		moved := link51
		moved.Parent = "eth1"
		l.Set([]kernel.VirtualLink{moved})
		l.Trim()
		if got, _ := named(f.links, "vrrp.51"); got.Parent != 3 || len(f.names()) != 4 {
			t.Errorf("on the other interface: %+v, %v", got, f.names())
		}
		time.Sleep(linksEvery)
		synctest.Wait()
		if got := f.names(); len(got) != 3 || !slices.Equal(f.records, []string{"vrrp.51"}) {
			t.Errorf("after the trim: %v, recorded %v", got, f.records)
		}
		f.mu.Lock()
		f.values["net/ipv4/conf/vrrp.51/rp_filter"] = "1"
		f.mu.Unlock()
		time.Sleep(linksEvery)
		synctest.Wait()
		if f.values["net/ipv4/conf/vrrp.51/rp_filter"] != "2" {
			t.Error("a sysctl is not set again")
		}
	})
}

// TestLinksOfOthers: an interface that this loop has not added stays, and is not recorded; so is nothing that the kernel
// refuses. Without the interface below there is none.
func TestLinksOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, stop := keepingLinks(t)
		defer stop()
		f.links = append(f.links, kernel.Link{Index: 4, Name: "vrrp.51", Kind: kernel.Macvlan, HardwareAddr: link51.HardwareAddr, Parent: 2})
		l.Set([]kernel.VirtualLink{link51})
		if why := l.Unmade()["vrrp.51"]; why != errForeign.Error() || len(f.records) > 0 {
			t.Errorf("%q, recorded %v", why, f.records)
		}
		l.Set(nil)
		l.Trim()
		time.Sleep(linksEvery)
		synctest.Wait()
		f.mu.Lock()
		if len(f.links) != 3 || len(l.unmade) > 0 {
			t.Errorf("%v, %v", f.links, l.unmade)
		}
		f.links, f.refuse = f.links[:2], errors.New("no")
		f.mu.Unlock()
		l.Set([]kernel.VirtualLink{link51})
		if why := l.Unmade()["vrrp.51"]; why != "no" || len(f.records) > 0 {
			t.Errorf("%q, recorded %v", why, f.records)
		}
		f.mu.Lock()
		f.links, f.refuse = f.links[1:], nil
		f.mu.Unlock()
		l.Poke()
		synctest.Wait()
		if why := l.Unmade()["vrrp.51"]; why != "the interface eth0 does not exist" {
			t.Errorf("%q", why)
		}
	})
}

// TestVIPsOnAVirtualInterface: it is set up before a VIP is added, also at each renewal, and down after the removal; the
// network is asked from the interface below it. If it cannot be set up, no VIP is added.
func TestVIPsOnAVirtualInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		defer w.stop()
		v := mysql(5*time.Second, vip)
		v.Interface, v.Base = "vrrp.51", "eth0"
		w.Set([]VIPs{v})
		w.kernel.unraised = errors.New("no")
		w.Addresses.Acquire("mysql", false)
		synctest.Wait()
		if got := w.kernel.done(); !slices.Equal(got, []string{"ip link set vrrp.51 up"}) {
			t.Errorf("%q", got)
		}
		w.kernel.mu.Lock()
		w.kernel.unraised, w.kernel.log = nil, nil
		w.kernel.mu.Unlock()
		time.Sleep(time.Second)
		w.Addresses.Release("mysql")
		synctest.Wait()
		got := w.kernel.done()
		want := []string{
			"ip link set vrrp.51 up", "ip addr replace 10.77.0.100/32 dev vrrp.51 valid_lft 5",
			"ip addr del 10.77.0.100/32 dev vrrp.51", "ip link set vrrp.51 down",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
