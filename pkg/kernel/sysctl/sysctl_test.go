package sysctl

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/kernel"
)

func TestPath(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/ip_forward", "net/ipv4/ip_forward"},
		{"net.ipv4.conf.eth0.arp_ignore", "net/ipv4/conf/eth0/arp_ignore"},
		{"net/ipv4/conf/eth0.5/arp_ignore", "net/ipv4/conf/eth0.5/arp_ignore"},
		{"net.ipv4.conf.eth0/5.arp_ignore", "net/ipv4/conf/eth0.5/arp_ignore"},
		{"", ""},
		{"net", ""},
		{".net.ipv4", ""},
		{"/net/ipv4/ip_forward", ""},
		{"net..ip_forward", ""},
		{"net.ipv4.", ""},
		{"net/../../etc/passwd", ""},
		{"../etc/passwd", ""},
		{"net/./ip_forward", ""},
		{"net/ipv4/ip\x00forward", ""},
	} {
		got, err := path(c.key)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("path(%q) = %q, %v; want %q", c.key, got, err, c.want)
		}
	}
}

// No key gives a path outside the tree.
func TestPathStaysInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{".", "/", "..", "a", "eth0.5", "\x00", " "}), 0, 8).Draw(t, "parts")
		p, err := path(strings.Join(parts, ""))
		if err == nil && !filepath.IsLocal(p) {
			t.Fatalf("path %q leaves the tree", p)
		}
	})
}

// made is a tree in a temporary directory.
func made(t *testing.T, values map[string]string) Tree {
	t.Helper()
	root := t.TempDir()
	for name, value := range values {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return At(root)
}

func get(t *testing.T, tree Tree, key, want string) {
	t.Helper()
	if got, err := tree.Get(key); err != nil || got != want {
		t.Errorf("Get(%s) = %q, %v; want %q", key, got, err, want)
	}
}

func TestSet(t *testing.T) {
	tree := made(t, map[string]string{"net/ipv4/conf/eth0.5/arp_ignore": "100", "net/ipv4/tcp_rmem": "1\t2\t3"})

	previous, err := tree.Set("net/ipv4/conf/eth0.5/arp_ignore", "1")
	if err != nil || previous != "100" {
		t.Errorf("Set = %q, %v; want the previous value 100", previous, err)
	}
	get(t, tree, "net.ipv4.conf.eth0/5.arp_ignore", "1")

	if previous, err := tree.Set("net.ipv4.tcp_rmem", "1 2 3"); err != nil || previous != "1\t2\t3" {
		t.Errorf("Set of a list = %q, %v", previous, err)
	}
	get(t, tree, "net.ipv4.tcp_rmem", "1\t2\t3") // equal, so not written

	for _, key := range []string{"net.ipv4.conf.eth1.arp_ignore", "net.ipv4.tcp_rmem.x", "net.ipv4"} {
		if _, err := tree.Set(key, "1"); !errors.Is(err, ErrMissing) {
			t.Errorf("Set(%s): %v; want ErrMissing", key, err)
		}
		if _, err := tree.Get(key); !errors.Is(err, ErrMissing) {
			t.Errorf("Get(%s): %v; want ErrMissing", key, err)
		}
	}
	if _, err := os.Stat(filepath.Join(tree.root, "net/ipv4/conf/eth1")); !os.IsNotExist(err) {
		t.Error("a missing parameter was created")
	}
}

func TestKernel(t *testing.T) {
	require.Root(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	tree := Proc()
	found, err := tree.Get("net.ipv4.conf.lo.arp_ignore")
	if err != nil {
		t.Fatal(err)
	}
	if previous, err := tree.Set("net.ipv4.conf.lo.arp_ignore", "3"); err != nil || previous != found {
		t.Errorf("Set: %s, %v; want %s", previous, err, found)
	}
	get(t, tree, "net/ipv4/conf/lo/arp_ignore", "3")
	if _, err := tree.Set("net.ipv4.conf.lo.arp_ignore", "many"); !errors.Is(err, ErrRefused) {
		t.Errorf("Set to a word: %v; want ErrRefused", err)
	}
	if _, err := tree.Set("net.ipv4.conf.eth7.arp_ignore", "1"); !errors.Is(err, ErrMissing) {
		t.Errorf("Set of a missing interface: %v; want ErrMissing", err)
	}
	if _, err := tree.Set("net.ipv4.conf.lo.arp_ignore", found); err != nil {
		t.Error(err)
	}
	get(t, tree, "net.ipv4.conf.lo.arp_ignore", found)
}

// In a service with ProtectKernelTunables= the tree is read-only even for root: a value that is already set is not an
// error there.
func TestReadOnly(t *testing.T) {
	require.Root(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"/proc/sys", root, "", unix.MS_BIND},
		{"none", root, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}()
	tree := At(root)
	now, err := tree.Get("net.ipv4.ip_default_ttl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Set("net.ipv4.ip_default_ttl", now); err != nil {
		t.Errorf("Set to the current value: %v", err)
	}
	_, err = tree.Set("net.ipv4.ip_default_ttl", now+"0")
	if !errors.Is(err, kernel.ErrNotPermitted) {
		t.Errorf("Set: %v; want ErrNotPermitted", err)
	}
}
