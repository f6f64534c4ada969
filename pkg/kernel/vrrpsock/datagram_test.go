package vrrpsock

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// header is a 20-byte IPv4 header: 10.77.0.2 to 224.0.0.18, TTL 255.
var header = []byte{0x45, 0xc0, 0, 22, 0, 1, 0, 0, 255, 112, 0, 0, 10, 77, 0, 2, 224, 0, 0, 18}

func TestParse(t *testing.T) {
	options := bytes.Clone(header)
	options[0] = 0x46
	options = append(options, 0x94, 4, 0, 0) // router alert
	v6, short := bytes.Clone(header), bytes.Clone(header)
	v6[0], short[0] = 0x65, 0x44

	from, to := netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("224.0.0.18")
	want := vrrp.Datagram{Payload: []byte{0x31, 51}, Source: from, Destination: to, TTL: 255}
	empty := want
	empty.Payload = []byte{}
	for _, c := range []struct {
		name string
		b    []byte
		want vrrp.Datagram
	}{
		{"plain", append(bytes.Clone(header), 0x31, 51), want},
		{"with options", append(options, 0x31, 51), want},
		{"no payload", header, empty},
		{"nothing", nil, vrrp.Datagram{}},
		{"half a header", header[:19], vrrp.Datagram{}},
		{"another version", v6, vrrp.Datagram{}},
		{"header length of 16", short, vrrp.Datagram{}},
		{"header longer than the datagram", options[:22], vrrp.Datagram{}},
	} {
		if diff := cmp.Diff(c.want, parse(c.b), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The longest advert of either family fits into the buffer, and so does one more byte, so that a longer packet is
// detected.
func TestBufferHoldsTheLongestAdvert(t *testing.T) {
	for _, tt := range []struct{ source, vip string }{{"10.77.0.2", "10.77.0.100"}, {"fe80::2", "fd00::100"}} {
		source := netip.MustParseAddr(tt.source)
		p := vrrp.Packet{Version: 3, VRID: 1, Priority: 1, Interval: time.Second, Addresses: slices.Repeat([]netip.Addr{netip.MustParseAddr(tt.vip)}, 255)}
		b, err := p.Append(nil, source, vrrp.Group(kernel.FamilyOf(source)), vrrp.PseudoHeaderChecksum)
		if err != nil {
			t.Fatal(err)
		}
		before := 0 // a raw IPv6 socket delivers no IP header
		if source.Is4() {
			before = 60
		}
		if len(b)+before+1 > bufferSize {
			t.Errorf("from %s an advert of %d bytes does not fit into %d", source, len(b), bufferSize)
		}
	}
}

// No input causes a panic, and a datagram with a payload has both addresses.
func FuzzParse(f *testing.F) {
	f.Add(append(bytes.Clone(header), 0x31, 51))
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := parse(b)
		if d.Payload != nil && (!d.Source.Is4() || !d.Destination.Is4()) {
			t.Errorf("%+v", d)
		}
		if len(d.Payload) > max(0, len(b)-headerSize) {
			t.Errorf("%d bytes of payload from %d", len(d.Payload), len(b))
		}
	})
}
