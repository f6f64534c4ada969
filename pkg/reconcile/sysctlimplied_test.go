package reconcile

import (
	"errors"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/internal/require"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
)

// router is a fake kernel whose ip_forward sets other parameters too. It returns an error for the keys in refuses.
type router struct {
	values  map[string]string
	refuses map[string]error
}

func newRouter() router {
	r := router{map[string]string{"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0", acceptRedirects: "0"}, map[string]error{}}
	for _, name := range []string{"default", "lo", "eth0", "eth1"} {
		r.values[conf4+name+"/forwarding"], r.values[conf6+name+"/forwarding"] = "0", "0"
	}
	return r
}

func (r router) Get(key string) (string, error) {
	value, exists := r.values[slashed(key)]
	if !exists {
		return "", sysctl.ErrMissing
	}
	return value, nil
}

func slashed(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		return strings.ReplaceAll(key, ".", "/")
	}
	return key
}

func (r router) Set(key, value string) (string, error) {
	before, err := r.Get(key)
	if err = errors.Join(err, r.refuses[key]); err != nil || before == value {
		return before, err
	}
	r.values[slashed(key)] = value
	switch slashed(key) {
	case "net/ipv4/ip_forward":
		r.values[acceptRedirects] = map[string]string{"1": "0", "0": "1"}[value]
		r.all(conf4, value)
	case "net/ipv6/conf/all/forwarding":
		r.all(conf6, value)
	}
	return before, nil
}

func (r router) all(conf, value string) {
	for key := range r.values {
		if strings.HasPrefix(key, conf) && strings.HasSuffix(key, "/forwarding") {
			r.values[key] = value
		}
	}
}

var routed = map[string]string{forward4: "1", forward6: "1"}

// What ip_forward and net.ipv6.conf.all.forwarding change with them is as before after a stop, also that of an interface
// that was renamed meanwhile, after a crash, and after an attempt that failed. Values that another process sets stay.
func TestImpliedSysctlsAreRestored(t *testing.T) {
	links := []kernel.Link{{Index: 1, Name: "lo"}, {Index: 2, Name: "eth0"}, {Index: 3, Name: "eth1"}}
	for _, c := range []struct {
		name   string
		before map[string]string // differences from all 0
		during func(t *testing.T, w sysctlWorld, k router)
		after  map[string]string // differences from before
	}{
		{"nothing was set", nil, nil, nil},
		{
			"some interfaces forwarded",
			map[string]string{conf4 + "eth1/forwarding": "1", conf4 + "default/forwarding": "1", conf6 + "eth0/forwarding": "1", acceptRedirects: "1"},
			nil, nil,
		},
		{
			"a reload without a need for them",
			map[string]string{conf4 + "eth1/forwarding": "1"},
			func(t *testing.T, w sysctlWorld, k router) {
				if err := errors.Join(w.Set(nil), w.Restore(nil)); err != nil {
					t.Error(err)
				}
				if k.values[conf4+"eth1/forwarding"] != "1" || k.values[conf4+"eth0/forwarding"] != "0" {
					t.Errorf("after the reload: %v", k.values)
				}
			}, nil,
		},
		{
			"a reload that still needs them",
			map[string]string{conf4 + "eth1/forwarding": "1"},
			func(t *testing.T, w sysctlWorld, k router) {
				if err := errors.Join(w.Set(routed), w.Restore(routed)); err != nil || k.values[conf4+"eth0/forwarding"] != "1" {
					t.Errorf("%v, %v", err, k.values)
				}
			}, nil,
		},
		{
			"switched off by another process and repaired",
			map[string]string{conf4 + "eth1/forwarding": "1", conf6 + "eth1/forwarding": "1"},
			func(t *testing.T, w sysctlWorld, k router) {
				_, _ = k.Set(forward4, "0")
				_, _ = k.Set(forward6, "0")
				w.keep()
				if k.values["net/ipv4/ip_forward"] != "1" {
					t.Error("not repaired")
				}
			}, nil,
		},
		{
			"set for an interface by another process",
			map[string]string{conf4 + "eth1/forwarding": "1"},
			func(_ *testing.T, _ sysctlWorld, k router) {
				k.values[conf4+"eth1/forwarding"], k.values[acceptRedirects] = "0", "1"
			},
			map[string]string{conf4 + "eth1/forwarding": "0", acceptRedirects: "1"},
		},
		{
			"an interface renamed",
			map[string]string{conf4 + "eth1/forwarding": "1", conf6 + "eth1/forwarding": "1"},
			func(_ *testing.T, w sysctlWorld, k router) {
				for _, conf := range []string{conf4, conf6} {
					k.values[conf+"lan.5/forwarding"] = k.values[conf+"eth1/forwarding"]
					delete(k.values, conf+"eth1/forwarding")
				}
				w.Follow([]kernel.Link{links[0], links[1], {Index: 3, Name: "lan.5"}})
			},
			map[string]string{
				conf4 + "eth1/forwarding": "", conf4 + "lan.5/forwarding": "1", conf6 + "eth1/forwarding": "", conf6 + "lan.5/forwarding": "1",
			},
		},
		{
			"an attempt that fails",
			map[string]string{conf4 + "eth1/forwarding": "1"},
			func(t *testing.T, w sysctlWorld, k router) {
				k.refuses[forward4] = errors.New("not now")
				if err := w.Restore(nil); err == nil {
					t.Error("no error")
				}
				delete(k.refuses, forward4)
			}, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, k := newSysctlWorld(t), newRouter()
			maps.Copy(k.values, c.before)
			want := maps.Clone(k.values)
			for key, value := range c.after {
				if want[key] = value; value == "" {
					delete(want, key)
				}
			}
			w.o.Kernel = k
			w.Follow(links)
			if err := w.Set(routed); err != nil || k.values[conf4+"lo/forwarding"] != "1" {
				t.Fatalf("%v, %v", err, k.values)
			}
			if c.during != nil {
				c.during(t, w, k)
			}
			after := NewSysctls(w.o) // also after a crash: from the state file alone
			if err := after.Restore(nil); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, k.values); diff != "" {
				t.Error(diff)
			}
			if left := w.stateFile.Sysctls(); len(left) != 0 {
				t.Errorf("still recorded: %v", left)
			}
		})
	}
}

// The kernel sets exactly the parameters that implied lists, and they are as before at the end.
func TestImpliedSysctlsOfTheKernel(t *testing.T) {
	require.Root(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	k := sysctl.At("/proc/sys") // of this thread, as /proc/sys/net is
	for _, before := range []map[string]string{
		{acceptRedirects: "1", conf4 + "lo/forwarding": "0", conf4 + "default/forwarding": "0", conf6 + "lo/forwarding": "0", conf6 + "default/forwarding": "0"},
		{acceptRedirects: "0", conf4 + "lo/forwarding": "1", conf4 + "default/forwarding": "0", conf6 + "lo/forwarding": "1", conf6 + "default/forwarding": "0"},
	} {
		for _, key := range []string{forward4, forward6} {
			if _, err := k.Set(key, "0"); err != nil {
				t.Fatal(err)
			}
		}
		for key, value := range before {
			if _, err := k.Set(key, value); err != nil {
				t.Fatal(err)
			}
		}
		w := newSysctlWorld(t)
		w.o.Kernel = k
		w.Follow([]kernel.Link{{Index: 1, Name: "lo"}})
		start := values(t)
		if err := w.Set(routed); err != nil {
			t.Fatal(err)
		}
		for key, value := range values(t) {
			want := start[key]
			for parent, on := range routed {
				if set, changed := implied(parent, on, []string{"lo"})[key]; changed || key == slashed(parent) {
					want = set
					if !changed {
						want = on
					}
				}
			}
			if value != want && key != conf4+"all/forwarding" { // which is ip_forward
				t.Errorf("%s: %s while it is wanted, want %s", key, value, want)
			}
		}
		if err := w.Restore(nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(start, values(t)); diff != "" {
			t.Error(diff)
		}
	}
}

// values returns all parameters of interfaces, and ip_forward.
func values(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"net/ipv4/conf/*/*", "net/ipv6/conf/*/*", "net/ipv4/ip_forward"} {
		files, err := filepath.Glob("/proc/sys/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			key := strings.TrimPrefix(file, "/proc/sys/")
			if value, err := sysctl.Proc().Get(key); err == nil && !strings.Contains(key, "stable_secret") {
				all[key] = value
			}
		}
	}
	return all
}

func TestImpliedBy(t *testing.T) {
	for _, parent := range []string{forward4, forward6} {
		for _, key := range slices.Sorted(maps.Keys(implied(parent, "1", []string{"eth0", "lan.5"}))) {
			if impliedBy(key) != parent {
				t.Errorf("%s: set with %q, want %s", key, impliedBy(key), parent)
			}
		}
		if impliedBy(parent) != "" {
			t.Errorf("%s is set with %s", parent, impliedBy(parent))
		}
	}
	for _, key := range []string{"net/ipv4/conf/all/send_redirects", "net.ipv4.vs.expire_nodest_conn", "net/ipv4/conf/eth0/accept_redirects"} {
		if impliedBy(key) != "" {
			t.Errorf("%s: set with %s", key, impliedBy(key))
		}
	}
}
