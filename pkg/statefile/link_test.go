package statefile

import (
	"slices"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestLinksAreKept: the interfaces that were added are known to the next run, each once.
func TestLinksAreKept(t *testing.T) {
	dir := t.TempDir()
	one := kernel.VirtualLink{Name: "vrrp.51", Kind: kernel.Macvlan, Parent: "eth0", HardwareAddr: "00:00:5e:00:01:33"}
	two := kernel.VirtualLink{Name: "vrrp6.51", Kind: kernel.Macvlan, Parent: "eth0", HardwareAddr: "00:00:5e:00:02:33", IPv6: true}
	l, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []kernel.VirtualLink{two, one, two} {
		if err := l.RecordLink(v); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	if l, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.Links(); !slices.Equal(got, []kernel.VirtualLink{one, two}) {
		t.Errorf("%+v", got)
	}
	if err := l.ForgetLink(one); err != nil || !slices.Equal(l.Links(), []kernel.VirtualLink{two}) {
		t.Errorf("%v, %+v", err, l.Links())
	}
	if err := l.SetLinks(nil); err != nil || len(l.Links()) > 0 {
		t.Errorf("%v, %+v", err, l.Links())
	}
}
