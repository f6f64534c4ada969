package reconcile

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/logtest"
	"github.com/lvs-director/lvs-director/pkg/statefile"
)

// tree is a fake /proc/sys.
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

// routing are the sysctls of a director that forwards by NAT, balancing those of one that does not.
var (
	balancing = map[string]string{"net.ipv4.vs.expire_nodest_conn": "1"}
	routing   = map[string]string{
		"net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "0",
		"net/ipv4/conf/eth0/send_redirects": "0", redirects: "0",
	}
)

type sysctlWorld struct {
	*Sysctls
	stateFile *statefile.File
	tree      tree
	log       *logtest.Buffer
}

func newSysctlWorld(t *testing.T) sysctlWorld {
	t.Helper()
	w := sysctlWorld{tree: tree{t, t.TempDir()}, log: &logtest.Buffer{}}
	for _, path := range []string{nodest, forwards} {
		w.tree.put(path, "0")
	}
	w.tree.put("net/ipv4/conf/all/send_redirects", "1")
	w.tree.put("net/ipv4/conf/eth0/send_redirects", "1")
	var err error
	if w.stateFile, err = statefile.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.stateFile.Close() })
	log := slog.New(slog.NewTextHandler(w.log, nil))
	tell := func(c SysctlChange) { log.Info("sysctl", "key", c.Key, "from", c.From, "to", c.To) }
	w.Sysctls = NewSysctls(SysctlOptions{
		Kernel: sysctl.At(w.tree.root), StateFile: w.stateFile, Saved: func(error) {}, OnSet: tell, OnRestore: tell, Log: log,
		ConfKey:  func(iface, name string) string { return "net/ipv4/conf/" + iface + "/" + name },
		Optional: func(key string) bool { return strings.HasPrefix(key, "net/ipv4/conf/") },
	})
	return w
}

// An interface that appears later, a change by another process, a reload that needs fewer parameters, and the end.
func TestSysctlsFromStartToEnd(t *testing.T) {
	w := newSysctlWorld(t)
	k := w.tree
	if err := w.Set(routing); err != nil {
		t.Fatalf("%v; an interface that does not exist yet is not an error", err)
	}
	k.put(redirects, "1") // eth1 appears
	k.put(forwards, "0")  // sysctl --system by another process
	w.keep()
	if k.get(redirects) != "0" || k.get(forwards) != "1" || k.get(nodest) != "1" {
		t.Errorf("send_redirects %s, ip_forward %s, expire_nodest_conn %s", k.get(redirects), k.get(forwards), k.get(nodest))
	}
	if err := errors.Join(w.Set(balancing), w.Restore(balancing)); err != nil { // NAT is no longer used
		t.Fatal(err)
	}
	if k.get(redirects) != "1" || k.get(forwards) != "0" || k.get(nodest) != "1" {
		t.Errorf("after the reload: send_redirects %s, ip_forward %s, expire_nodest_conn %s", k.get(redirects), k.get(forwards), k.get(nodest))
	}
	if err := w.Restore(nil); err != nil {
		t.Fatal(err)
	}
	if k.get(nodest) != "0" || len(w.stateFile.Sysctls()) != 0 {
		t.Errorf("at the end: expire_nodest_conn %s, state file %v", k.get(nodest), w.stateFile.Sysctls())
	}
}

// A renamed interface keeps our values; its recorded values move to the new name and are restored at the end.
func TestSysctlsFollowARenamedInterface(t *testing.T) {
	w := newSysctlWorld(t)
	k := w.tree
	k.put(redirects, "1")
	w.Follow([]kernel.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}})
	if err := w.Set(routing); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(k.root, "net/ipv4/conf/eth1"), filepath.Join(k.root, "net/ipv4/conf/lan.5")); err != nil {
		t.Fatal(err)
	}
	const renamed = "net/ipv4/conf/lan.5/send_redirects"
	w.Follow([]kernel.Link{{Index: 2, Name: "eth0"}, {Index: 3, Name: "lan.5"}})
	w.keep()
	if k.get(renamed) != "0" {
		t.Errorf("send_redirects %s while it balances", k.get(renamed))
	}
	if err := w.Restore(nil); err != nil {
		t.Fatal(err)
	}
	if k.get(renamed) != "1" || len(w.stateFile.Sysctls()) != 0 {
		t.Errorf("at the end: send_redirects %s, state file %v", k.get(renamed), w.stateFile.Sysctls())
	}
}

// TestSysctlsOfANewInterface: an interface that is deleted and added again has the kernel's values, and ours at once, before
// VIPs are added to it.
func TestSysctlsOfANewInterface(t *testing.T) {
	w := newSysctlWorld(t)
	k := w.tree
	k.put(redirects, "1")
	w.Follow([]kernel.Link{{Index: 3, Name: "eth1"}})
	if err := w.Set(routing); err != nil {
		t.Fatal(err)
	}
	w.Follow(nil)
	k.put(redirects, "1")
	w.Follow([]kernel.Link{{Index: 4, Name: "eth1"}})
	if k.get(redirects) != "0" {
		t.Errorf("send_redirects %s on the new interface", k.get(redirects))
	}
	k.put(redirects, "1")
	w.Follow([]kernel.Link{{Index: 4, Name: "eth1"}})
	if k.get(redirects) != "1" {
		t.Error("an interface that was there is looked at again, which is done every second")
	}
}

// A parameter that cannot be read at the moment stays recorded; one that disappeared with its interface does not.
func TestUnreadableSysctlsStayRecorded(t *testing.T) {
	w := newSysctlWorld(t)
	k := w.tree
	k.put(redirects, "1")
	if err := w.Set(routing); err != nil {
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
	if err := w.Restore(nil); err == nil {
		t.Error("no error")
	}
	if left := w.stateFile.Sysctls(); len(left) != 1 || !strings.HasSuffix(left[0].Key, "ip_forward") {
		t.Errorf("the state file has %v", left)
	}
	if err := errors.Join(os.Remove(hidden), os.Rename(hidden+".away", hidden), w.Restore(nil)); err != nil {
		t.Fatal(err)
	}
	if k.get(forwards) != "0" || len(w.stateFile.Sysctls()) != 0 {
		t.Errorf("ip_forward %s, state file %v", k.get(forwards), w.stateFile.Sysctls())
	}
}
