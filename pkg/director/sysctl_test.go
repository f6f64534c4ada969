package director

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/ledger"
)

const (
	nodest    = "net/ipv4/vs/expire_nodest_conn"
	forwards  = "net/ipv4/ip_forward"
	redirects = "net/ipv4/conf/eth1/send_redirects"
)

func natFile() *config.Config {
	cfg := vipFile()
	cfg.VirtualServers[0].Forward = config.NAT
	return cfg
}

func TestWantedSysctls(t *testing.T) {
	dr, persistent := vipFile(), vipFile()
	persistent.VirtualServers[0].Persistence = &config.Persistence{}
	for _, tt := range []struct {
		name string
		cfg  *config.Config
		want map[string]string
	}{
		{"elects only", &config.Config{Instances: dr.Instances}, map[string]string{}},
		{"dr", dr, map[string]string{"net.ipv4.vs.expire_nodest_conn": "1"}},
		{"persistence", persistent, map[string]string{"net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.expire_quiescent_template": "1"}},
		{"nat", natFile(), map[string]string{
			"net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "0",
			"net/ipv4/conf/eth0/send_redirects": "0", redirects: "0",
		}},
	} {
		d := New(Options{Config: tt.cfg, Node: config.Director{Name: "lvs-master"}})
		if diff := cmp.Diff(tt.want, d.wantedSysctls(tt.cfg)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// settings is a made-up /proc/sys, by the keys with slashes.
type settings map[string]string

func (s settings) Get(key string) (string, error) {
	value, exists := s[strings.ReplaceAll(key, ".", "/")]
	if !exists {
		return "", sysctl.ErrMissing
	}
	return value, nil
}

func (s settings) Set(key, value string) (string, error) {
	before, err := s.Get(key)
	if err == nil {
		s[strings.ReplaceAll(key, ".", "/")] = value
	}
	return before, err
}

// A full disk must not keep the service down: what cannot be saved is remembered, and said once.
func TestUnsavedLedgerStopsNothing(t *testing.T) {
	var log strings.Builder
	d := New(Options{Config: natFile(), Node: config.Director{Name: "lvs-master"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	var err error
	if d.ledger, err = ledger.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	made := settings{nodest: "0", forwards: "0", "net/ipv4/conf/all/send_redirects": "1"}
	d.sysctls = d.newSysctls(made)
	if err := d.ledger.Close(); err != nil { // now every change fails
		t.Fatal(err)
	}
	d.recordVIPs(d.cfg)
	d.recordServices(nil)
	if err := d.sysctls.Set(d.wantedSysctls(d.cfg)); err != nil {
		t.Fatal(err)
	}
	if made[nodest] != "1" || strings.Count(log.String(), "cannot save") != 1 {
		t.Errorf("expire_nodest_conn %s; logged:\n%s", made[nodest], log.String())
	}
}
