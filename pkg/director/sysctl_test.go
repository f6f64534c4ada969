package director

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel/addr"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/ledger"
)

// tree is a made-up /proc/sys.
type tree struct {
	t    *testing.T
	root string
}

func (k tree) put(path, value string) {
	k.t.Helper()
	file := filepath.Join(k.root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k tree) get(path string) string {
	k.t.Helper()
	value, err := os.ReadFile(filepath.Join(k.root, path))
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.TrimSpace(string(value))
}

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

func withTree(t *testing.T, cfg *config.Config) (*Director, tree) {
	t.Helper()
	k := tree{t, t.TempDir()}
	for _, path := range []string{nodest, forwards} {
		k.put(path, "0")
	}
	k.put("net/ipv4/conf/all/send_redirects", "1")
	k.put("net/ipv4/conf/eth0/send_redirects", "1")
	d := New(Options{Config: cfg, Node: config.Director{Name: "lvs-master"}, Log: slog.New(slog.DiscardHandler)})
	d.sysctls = sysctl.At(k.root)
	var err error
	if d.ledger, err = ledger.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.ledger.Close() })
	return d, k
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

// An interface that comes later, a foreign hand, a reload that needs less, the end.
func TestSysctlsThroughALife(t *testing.T) {
	d, k := withTree(t, natFile())
	if err := d.setSysctls(d.cfg); err != nil {
		t.Fatalf("an interface that is not there yet is no error: %v", err)
	}
	k.put(redirects, "1") // eth1 comes
	k.put(forwards, "0")  // somebody's sysctl --system
	d.keepSysctls()
	if k.get(redirects) != "0" || k.get(forwards) != "1" || k.get(nodest) != "1" {
		t.Errorf("send_redirects %s, ip_forward %s, expire_nodest_conn %s", k.get(redirects), k.get(forwards), k.get(nodest))
	}
	d.cfg = vipFile() // no nat any more
	if err := d.restoreSysctls(d.wantedSysctls(d.cfg)); err != nil {
		t.Fatal(err)
	}
	if k.get(redirects) != "1" || k.get(forwards) != "0" || k.get(nodest) != "1" {
		t.Errorf("after the reload: send_redirects %s, ip_forward %s, expire_nodest_conn %s", k.get(redirects), k.get(forwards), k.get(nodest))
	}
	if err := d.restoreSysctls(nil); err != nil {
		t.Fatal(err)
	}
	if k.get(nodest) != "0" || len(d.ledger.Sysctls()) != 0 {
		t.Errorf("at the end: expire_nodest_conn %s, ledger %v", k.get(nodest), d.ledger.Sysctls())
	}
}

// An interface that is renamed keeps our values; what it had before goes with it, and is given back at the end.
func TestSysctlsFollowARenamedInterface(t *testing.T) {
	d, k := withTree(t, natFile())
	k.put(redirects, "1")
	d.followRenames([]addr.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}})
	if err := d.setSysctls(d.cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(k.root, "net/ipv4/conf/eth1"), filepath.Join(k.root, "net/ipv4/conf/lan.5")); err != nil {
		t.Fatal(err)
	}
	const renamed = "net/ipv4/conf/lan.5/send_redirects"
	d.followRenames([]addr.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "lan.5"}})
	d.keepSysctls()
	if k.get(renamed) != "0" {
		t.Errorf("send_redirects %s while it balances", k.get(renamed))
	}
	if err := d.restoreSysctls(nil); err != nil {
		t.Fatal(err)
	}
	if k.get(renamed) != "1" || len(d.ledger.Sysctls()) != 0 {
		t.Errorf("at the end: send_redirects %s, ledger %v", k.get(renamed), d.ledger.Sysctls())
	}
}

// What cannot be read just now is not forgotten; what went with its interface is.
func TestUnreadableSysctlsAreKeptInMind(t *testing.T) {
	d, k := withTree(t, natFile())
	k.put(redirects, "1")
	if err := d.setSysctls(d.cfg); err != nil {
		t.Fatal(err)
	}
	hidden := filepath.Join(k.root, forwards)
	for _, err := range []error{
		os.Rename(hidden, hidden+".away"), os.Symlink(hidden, hidden), os.RemoveAll(filepath.Join(k.root, "net/ipv4/conf/eth1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := d.restoreSysctls(nil); err == nil {
		t.Error("no error")
	}
	if left := d.ledger.Sysctls(); len(left) != 1 || !strings.HasSuffix(left[0].Key, "ip_forward") {
		t.Errorf("the ledger has %v", left)
	}
	if err := errors.Join(os.Remove(hidden), os.Rename(hidden+".away", hidden), d.restoreSysctls(nil)); err != nil {
		t.Fatal(err)
	}
	if k.get(forwards) != "0" || len(d.ledger.Sysctls()) != 0 {
		t.Errorf("ip_forward %s, ledger %v", k.get(forwards), d.ledger.Sysctls())
	}
}

// A full disk must not keep the service down: what cannot be saved is remembered, and said once.
func TestUnsavedLedgerStopsNothing(t *testing.T) {
	var log strings.Builder
	d, k := withTree(t, natFile())
	d.log = slog.New(slog.NewTextHandler(&log, nil))
	if err := d.ledger.Close(); err != nil { // now every change fails
		t.Fatal(err)
	}
	d.recordVIPs(d.cfg)
	d.recordServices(nil)
	if err := d.setSysctls(d.cfg); err != nil {
		t.Fatal(err)
	}
	if k.get(nodest) != "1" || strings.Count(log.String(), "cannot save") != 1 {
		t.Errorf("expire_nodest_conn %s; logged:\n%s", k.get(nodest), log.String())
	}
}
