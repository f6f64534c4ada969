package director

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestLacking: a file that needs what the kernel says it has not is refused with the reason; a kernel that does not say is no
// reason.
func TestLacking(t *testing.T) {
	base := electing + router("mysql", "eth0", 51, "10.77.0.100") + virtualServers + balancing("mysql", "10.77.0.100", "tun", "10.77.0.11")
	for _, tt := range []struct {
		name, feature, from, to, want string
	}{
		{"nothing", kernel.FeatureSCTP, "", "", ""},
		{"sctp", kernel.FeatureSCTP, "port: 3306,", "port: 3306, protocol: sctp,", "virtual server mysql: protocol: sctp needs IPVS for SCTP (CONFIG_IP_VS_PROTO_SCTP), which this kernel does not have (it is a fake): use another kernel, or another protocol"},
		{"sctp", "", "port: 3306,", "port: 3306, protocol: sctp,", ""},
		{"tunnel", kernel.FeatureTunnels, "address: 10.77.0.11", "address: 10.77.0.11, tunnel: {type: gre}", "virtual server mysql: the tunnel of the real server mysql1 needs IPVS with types of tunnels (Linux 5.3), which this kernel does not have (it is a fake): use another kernel, or a tunnel without a type"},
		{"tracking", kernel.FeatureTracked, "forward: tun", "forward: nat, snat_clients: [10.77.0.0/24]", "virtual server mysql: snat_clients needs IPVS with connection tracking (CONFIG_IP_VS_NFCT), which this kernel does not have (it is a fake): use another kernel, or remove it and route the answers of the real servers through the directors"},
		{"IPv6", kernel.FeatureIPVS6, "address: 10.77.0.11", `address: "fd00::11"`, "virtual server mysql: the address of the real server mysql1 needs IPVS for IPv6 (CONFIG_IP_VS_IPV6), which this kernel does not have (it is a fake): use another kernel, or addresses of IPv4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := base
			if tt.from != "" {
				if text = strings.Replace(base, tt.from, tt.to, 1); text == base {
					t.Fatalf("no %q in %s", tt.from, base)
				}
			}
			k := newFakeKernel()
			if tt.feature != "" {
				k.refuse("feature "+tt.feature, errors.New("absent"))
			}
			err := usable(k, parse(t, text))
			if got := ""; err != nil {
				if got = err.Error(); got != tt.want {
					t.Errorf("%s\nwant %s", got, tt.want)
				}
			} else if tt.want != "" {
				t.Errorf("no error, want %s", tt.want)
			}
		})
	}
}

// asking is a kernel that can be made to take its time, and counts.
type asking struct {
	*fakeKernel
	fails   bool
	asked   int
	entered chan struct{}
	release chan struct{}
}

func (k *asking) Features(ctx context.Context) kernel.Features {
	k.asked++
	if k.entered != nil {
		k.entered <- struct{}{}
		<-k.release
	}
	f := k.fakeKernel.Features(ctx)
	f.Incomplete = k.fails
	return f
}

// TestFeatureCache: the kernel is asked once a minute; nobody waits for another's question.
func TestFeatureCache(t *testing.T) {
	k := &asking{fakeKernel: newFakeKernel()}
	var c featureCache
	start := time.Now()
	for _, step := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {time.Second, 1}, {59 * time.Second, 1}, {featuresKept, 2}, {featuresKept + time.Second, 2}} {
		if got := c.get(k, start.Add(step.after)); got == nil || got.Release != "6.1.0-fake" || k.asked != step.asked {
			t.Errorf("after %s: %+v, asked %d times, want %d", step.after, got, k.asked, step.asked)
		}
	}
	good := c.last
	if k.fails = true; c.get(k, start.Add(5*featuresKept)) != good || k.asked != 3 {
		t.Errorf("a failed question replaced %+v by %+v (asked %d times)", good, c.last, k.asked)
	}
	k.fails = false
	k.entered, k.release = make(chan struct{}), make(chan struct{})
	before, late := c.last, start.Add(10*featuresKept)
	done := make(chan struct{})
	go func() { defer close(done); c.get(k, late) }()
	<-k.entered
	if got := c.get(k, late); got != before {
		t.Errorf("beside another request: %+v", got)
	}
	close(k.release)
	<-done
	if c.last == before || k.asked != 4 {
		t.Errorf("the kernel was asked %d times", k.asked)
	}
}
