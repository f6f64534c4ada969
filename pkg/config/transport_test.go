package config_test

import (
	"fmt"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// TestUnicastPeers: the peers of each director, from a list and from directors; doing it again changes nothing.
func TestUnicastPeers(t *testing.T) {
	c := parseGood(t, "unicast")
	for director, want := range map[string][]string{
		"lvs-master": {"[10.77.0.33]", "[10.77.0.3 10.77.0.4]", "[]"},
		"lvs-backup": {"[10.77.0.2]", "[10.77.0.2 10.77.0.4]", "[]"},
	} {
		once := c.ForNode(director)
		for n, w := range want {
			for _, cfg := range []*config.Config{once, once.ForNode(director)} {
				if got := fmt.Sprint(cfg.Instances[n].Transport.Peers.Addresses); got != w {
					t.Errorf("%s, %s: peers %s, want %s", director, cfg.Instances[n].Name, got, w)
				}
			}
		}
	}
	for _, c := range []struct {
		director string
		instance int
		want     string
	}{{"lvs-master", 0, "invalid IP"}, {"lvs-backup", 0, "10.77.0.33"}, {"lvs-master", 2, "10.77.0.22"}} {
		if got := parseGood(t, "unicast").ForNode(c.director).Instances[c.instance].Transport.Source().String(); got != c.want {
			t.Errorf("%s: source %s, want %s", c.director, got, c.want)
		}
	}
}

// TestTransportIsLive: no change of the transport stops an instance.
func TestTransportIsLive(t *testing.T) {
	now := parseGood(t, "unicast").ForNode("lvs-backup").Instances[0]
	for name, edit := range map[string]func(*config.Transport){
		"mode":    func(t *config.Transport) { *t = config.Transport{} },
		"peers":   func(t *config.Transport) { t.Peers.Addresses = nil },
		"source":  func(t *config.Transport) { t.UnicastSource = t.Peers.Addresses[0] },
		"min TTL": func(t *config.Transport) { t.UnicastMinTTL-- },
		"group":   func(t *config.Transport) { t.MulticastGroup = t.UnicastSource },
	} {
		next := now
		edit(&next.Transport)
		if got := now.Reload(next); got != config.Live {
			t.Errorf("%s: %v, want live", name, got)
		}
	}
}
