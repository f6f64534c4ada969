package ipvs

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

func fingerprintOf(t testing.TB, text string) uint64 {
	t.Helper()
	sum, err := fingerprint(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// Counters do not count, everything else does.
func TestFingerprint(t *testing.T) {
	sum := fingerprintOf(t, snapshotText)
	if busy := strings.NewReplacer("7          12", "8          13").Replace(snapshotText); busy == snapshotText || fingerprintOf(t, busy) != sum {
		t.Error("it changes with the counters")
	}
	for _, change := range [][2]string{
		{"65535  7", "65534  7"},
		{"0A4D000C:0CEA", "0A4D000D:0CEA"},
		{"0A4D000C:0CEA", "0A4D000C:0CEB"},
		{"Masq ", "Route"},
		{"0CEA wrr", "0CEA wlc"},
		{"persistent 5000", "persistent 6000"},
		{"FFFFFF00\n", "FFFFFFFF\n"},
		{"rr ops", "rr"},
		{"size=4096", "size=8192"},
		{"  -> [fd00:0000:0000:0000:0000:0000:0000:0012]:0000      Route   1      0          0         \n", ""},
		{"FWM  00000007 rr \n", ""},
	} {
		text := strings.Replace(snapshotText, change[0], change[1], 1)
		if text == snapshotText {
			t.Fatalf("%q is not in the text", change[0])
		}
		if fingerprintOf(t, text) == sum {
			t.Errorf("it does not change with %q", change[1])
		}
	}
}

// Tables that differ in what the parser sees differ in the fingerprint, however the reads divide the text.
func TestFingerprintOfTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) string {
			lines := rapid.SliceOfN(rapid.SampledFrom([]string{
				"TCP  0A4D0064:0CEA wrr ", "TCP  0A4D0065:0CEA rr ", "UDP  0A4D0064:0CEA wrr ",
				"  -> 0A4D000C:0CEA      Masq    0      0          0         ", "  -> 0A4D000C:0CEA      Masq    0      1          2         ",
				"  -> 0A4D000C:0CEA      Masq    1      0          0         ",
			}), 0, 5).Draw(t, label)
			return heading + strings.Join(append([]string{"TCP  0A4D0001:0CEA wrr "}, lines...), "\n") + "\n"
		}
		a, b := draw("a"), draw("b")
		parsed := func(text string) []lvs.Service {
			services, err := parseSnapshot([]byte(text), 10*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			for i := range services {
				for j := range services[i].Servers {
					services[i].Servers[j].ActiveConnections, services[i].Servers[j].InactiveConnections = 0, 0
				}
			}
			return services
		}
		sum := func(text string) uint64 {
			whole, err := fingerprint(strings.NewReader(text))
			divided, err2 := fingerprint(iotest.OneByteReader(strings.NewReader(text)))
			if err != nil || err2 != nil || whole != divided {
				t.Fatalf("%x %v, by single bytes %x %v", whole, err, divided, err2)
			}
			return whole
		}
		if same := lvs.Rules(parsed(a)) == lvs.Rules(parsed(b)); same != (sum(a) == sum(b)) {
			t.Fatalf("the same table: %t, the same fingerprint: %t:\n%s\n%s", same, !same, a, b)
		}
	})
}

func TestFingerprintOfBrokenReads(t *testing.T) {
	if _, err := fingerprint(iotest.ErrReader(errors.ErrUnsupported)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
	if _, err := fingerprint(strings.NewReader(strings.Repeat("x", 1<<20))); err == nil || !strings.Contains(err.Error(), "line of more than") {
		t.Errorf("a line of 1 MiB: %v", err)
	}
	if sum, err := fingerprint(iotest.DataErrReader(strings.NewReader(snapshotText))); err != nil || sum != fingerprintOf(t, snapshotText) {
		t.Errorf("data with the end: %x, %v", sum, err)
	}
}

// BenchmarkFingerprint is the cost for a table of 1 000 virtual servers of 4, without reading /proc.
func BenchmarkFingerprint(b *testing.B) {
	text := largeTable()
	b.ReportAllocs()
	for b.Loop() {
		fingerprintOf(b, text)
	}
}
