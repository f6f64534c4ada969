package statefile

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

var update = flag.Bool("update", false, "rewrite the golden file of this version in testdata; review the diff before you commit it")

// sameAddr compares addresses, whose fields are not exported.
var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func key(protocol, address string, port uint16) lvs.Key {
	return lvs.Key{Protocol: protocol, Address: netip.MustParseAddr(address), Port: port}
}

// golden returns a file of testdata with this boot and network namespace filled in.
func golden(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	here, err := thisKernel()
	must(t, err)
	return strings.NewReplacer("BOOT", here.boot, "NET", here.net).Replace(string(text))
}

// ofVersion1 is the content of testdata/version1.json, which was written by the last release with that version.
var ofVersion1 = content{
	Addresses: addresses{
		{Interface: "eth0", Prefix: netip.MustParsePrefix("10.77.0.100/32")},
		{Interface: "eth0", Prefix: netip.MustParsePrefix("fd00::100/128")},
		{Interface: "lo", Prefix: netip.MustParsePrefix("10.77.0.100/32")},
	},
	Services: services{
		key("tcp", "10.77.0.100", 80), key("tcp", "10.77.0.100", 3306), key("tcp", "fd00::100", 80), key("udp", "10.77.0.100", 53),
	},
	Sysctls: []Sysctl{{"net.ipv4.conf.all.arp_ignore", "0", "1"}, {"net.ipv4.vs.expire_nodest_conn", "0", "1"}},
}

// An upgrade keeps all entries and writes a file of the current version.
func TestVersion1IsRead(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, fileName), []byte(golden(t, "version1.json")), 0o600))
	l := openState(t, dir)
	if diff := cmp.Diff(ofVersion1, contents(l), samePrefix, sameAddr); diff != "" || l.Warning() != "" {
		t.Errorf("(-want +got), warning %q:\n%s", l.Warning(), diff)
	}
	if _, err := os.Stat(filepath.Join(dir, unreadableName)); err == nil {
		t.Error("the file was renamed as unreadable")
	}
	must(t, l.RecordService(lvs.Marked(kernel.IPv4, 5), lvs.Marked(kernel.IPv6, 5), lvs.Marked(kernel.IPv6, 6)))
	written, err := os.ReadFile(l.path)
	must(t, err)
	if *update {
		here, err := thisKernel()
		must(t, err)
		text := strings.NewReplacer(here.boot, "BOOT", here.net, "NET").Replace(string(written))
		must(t, os.WriteFile("testdata/version2.json", []byte(text), 0o644))
	}
	if diff := cmp.Diff(golden(t, "version2.json"), string(written)); diff != "" {
		t.Errorf("the file written (-want +got):\n%s", diff)
	}
	with := ofVersion1
	with.Services = slices.Concat(services{lvs.Marked(kernel.IPv4, 5), lvs.Marked(kernel.IPv6, 5), lvs.Marked(kernel.IPv6, 6)}, with.Services)
	if diff := cmp.Diff(with, contents(reopen(t, l)), samePrefix, sameAddr); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

// Entries that version 1 cannot represent, or that are invalid, are skipped, and the others are kept.
func TestServicesOfVersion1(t *testing.T) {
	b, err := decode([]byte(`{"version": 1, "boot_id": "b", "services": [
		{"protocol": "fwm", "address": "0.0.0.0", "port": "0"}, {"protocol": "tcp", "address": "", "port": "1"},
		{"protocol": "tcp", "address": "10.0.0.1", "port": "70000"}, {"protocol": "tcp", "address": "10.0.0.1", "port": "80"}]}`))
	must(t, err)
	if diff := cmp.Diff(services{key("tcp", "10.0.0.1", 80)}, b.Services, sameAddr); diff != "" || b.Version != version || b.BootID != "b" {
		t.Errorf("%+v (-want +got):\n%s", b, diff)
	}
	if _, err := decode([]byte(`{"version": 1, "services": [{"port": 80}]}`)); err == nil {
		t.Error("an invalid file of version 1 is accepted")
	}
}

// Services and addresses of both families are unchanged after saving and loading, and are found.
func TestBothFamilies(t *testing.T) {
	dir := t.TempDir() // shared by all runs: the disk is not under test
	rapid.Check(t, func(r *rapid.T) {
		keys := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) lvs.Key {
			family := rapid.SampledFrom([]kernel.Family{kernel.IPv4, kernel.IPv6}).Draw(r, "family")
			if rapid.Bool().Draw(r, "marked") {
				return lvs.Marked(family, rapid.Uint32Min(1).Draw(r, "mark"))
			}
			return key(rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(r, "protocol"), anyAddress(family).Draw(r, "address"), rapid.Uint16().Draw(r, "port"))
		}), 0, 8).Draw(r, "services")
		var b content
		b.Version, b.BootID = version, "b"
		replace(&b.Services, keys, lvs.Key.Compare)
		for _, k := range keys {
			if k.Protocol != lvs.FirewallMark {
				b.Addresses = append(b.Addresses, kernel.IfAddr{Interface: "eth0", Prefix: netip.PrefixFrom(k.Address, k.Address.BitLen())})
			}
		}
		replace(&b.Addresses, b.Addresses, compareAddresses)
		path := filepath.Join(dir, fileName)
		must(t, b.save(path))
		again, warning := load(path, origin{boot: "b"})
		if diff := cmp.Diff(b, again, samePrefix, sameAddr); diff != "" || warning != "" {
			r.Fatalf("saved and loaded (-want +got), warning %q:\n%s", warning, diff)
		}
		l := File{content: again}
		other := key("tcp", "192.0.2.1", 1)
		for _, k := range keys {
			if !l.HasService(k) || k != other && l.HasService(other) != slices.Contains(keys, other) {
				r.Fatalf("%s is not found in %v", k, again.Services)
			}
		}
	})
}

func anyAddress(family kernel.Family) *rapid.Generator[string] {
	n := family.Unspecified().BitLen() / 8
	return rapid.Map(rapid.SliceOfN(rapid.Byte(), n, n), func(b []byte) string {
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	})
}
