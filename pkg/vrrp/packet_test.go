package vrrp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

var (
	group  = netip.MustParseAddr("224.0.0.18")
	master = netip.MustParseAddr("10.77.0.2")
	backup = netip.MustParseAddr("10.77.0.3")
	vip    = netip.MustParseAddr("10.77.0.100")

	sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
)

func mustAppend(t testing.TB, p Packet, form ChecksumForm) []byte {
	t.Helper()
	b, err := p.Append(nil, master, group, form)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRFC9568Section5_1_1_2Groups checks the multicast groups.
func TestRFC9568Section5_1_1_2Groups(t *testing.T) {
	if got := Group(kernel.IPv4); got != group {
		t.Errorf("IPv4: %s, want %s", got, group)
	}
	if got, want := Group(kernel.IPv6), netip.MustParseAddr("ff02::12"); got != want {
		t.Errorf("IPv6: %s, want %s", got, want)
	}
	if got := Group(0); got.IsValid() {
		t.Errorf("no family: %s", got)
	}
}

// TestRFC9568Section5_2PacketFormat checks bytes whose checksums were computed by hand, not by this package.
func TestRFC9568Section5_2PacketFormat(t *testing.T) {
	v3 := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	v2 := v3
	v2.Version = 2
	v6 := Packet{Version: 3, VRID: 1, Priority: 100, Interval: 10 * time.Millisecond, Addresses: []netip.Addr{netip.MustParseAddr("fe80::1")}}
	tests := []struct {
		name     string
		packet   Packet
		form     ChecksumForm
		src, dst netip.Addr
		want     string
	}{
		// 3133 + 9601 + 0064 + 0a4d + 0064 = d249; ^ = 2db6
		{"v3 plain", v3, PlainChecksum, master, group, "31339601" + "00642db6" + "0a4d0064"},
		// d249 + 0a4d + 0002 + e000 + 0012 + 0070 + 000c = 1bd26 -> bd27; ^ = 42d8
		{"v3 with pseudo-header", v3, PseudoHeaderChecksum, master, group, "31339601" + "006442d8" + "0a4d0064"},
		// 2133 + 9601 + 0001 + 0a4d + 0064 = c1e6; ^ = 3e19
		{"v2 has no pseudo-header", v2, PseudoHeaderChecksum, master, group, "21339601" + "00013e19" + "0a4d0064" + "0000000000000000"},
		// 3101 + 6401 + 0001 + fe80 + 0001 = 19384; + fe80 + 0002 + ff02 + 0012 + 0070 + 0018 = 391a2 -> 91a5; ^ = 6e5a
		{
			"v3 on IPv6 has one form", v6, PlainChecksum, netip.MustParseAddr("fe80::2"), Group(kernel.IPv6),
			"31016401" + "00016e5a" + "fe800000000000000000000000000001",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.packet.Append([]byte{0xaa}, tt.src, tt.dst, tt.form)
			if err != nil {
				t.Fatal(err)
			}
			if want, _ := hex.DecodeString("aa" + tt.want); !bytes.Equal(got, want) {
				t.Errorf("Append = %x\nwant     %x", got, want)
			}
			back, reason := Parse(got[1:], tt.src, tt.dst)
			if reason != DropNone {
				t.Fatalf("Parse: %s", reason)
			}
			if diff := cmp.Diff(tt.packet, back, sameAddr); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	good := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	six := netip.MustParseAddr("fe80::1")
	tests := []struct {
		name string
		edit func(*Packet)
		src  netip.Addr
		want string
	}{
		{"version", func(p *Packet) { p.Version = 4 }, master, "version is 4"},
		{"vrid", func(p *Packet) { p.VRID = 0 }, master, "VRID is 0"},
		{"family", func(*Packet) {}, six, "one address family"},
		{"no source", func(*Packet) {}, netip.Addr{}, "one address family"},
		{"auth of version 3", func(p *Packet) { p.AuthType, p.Password = 1, secretOf(t, "secret") }, master, "auth type of version 3 is 1"},
		{"auth type 2", func(p *Packet) { p.Version, p.AuthType = 2, 2 }, master, "auth type of version 2 is 2"},
		{"no password", func(p *Packet) { p.Version, p.AuthType = 2, 1 }, master, "auth type is 1: a password"},
		{"password of type 0", func(p *Packet) { p.Password = secretOf(t, "secret") }, master, "auth type is 0: a password"},
		{"too many", func(p *Packet) { p.Addresses = make([]netip.Addr, 256) }, master, "256 addresses"},
		{"mixed families", func(p *Packet) { p.Addresses = append(p.Addresses, six) }, master, "not of the family"},
		{"invalid address", func(p *Packet) { p.Addresses = make([]netip.Addr, 1) }, master, "not of the family"},
		{"interval 0", func(p *Packet) { p.Interval = 0 }, master, "multiple of 10ms up to 40.95s"},
		{"interval 15ms", func(p *Packet) { p.Interval = 15 * time.Millisecond }, master, "multiple of 10ms"},
		{"interval 41s", func(p *Packet) { p.Interval = 41 * time.Second }, master, "up to 40.95s"},
		{"v2 interval 100ms", func(p *Packet) { p.Version, p.Interval = 2, 100*time.Millisecond }, master, "multiple of 1s up to 4m15s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := good
			p.Addresses = append([]netip.Addr(nil), good.Addresses...)
			tt.edit(&p)
			b, err := p.Append([]byte("kept"), tt.src, group, PlainChecksum)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
			if string(b) != "kept" {
				t.Errorf("buffer = %q, want it unchanged", b)
			}
		})
	}
	v6 := good
	v6.Version, v6.Addresses = 2, []netip.Addr{six}
	if _, err := v6.Append(nil, six, Group(kernel.IPv6), PlainChecksum); err == nil || !strings.Contains(err.Error(), "IPv4 only") {
		t.Errorf("version 2 on IPv6: error = %v", err)
	}
}

func TestParseDrops(t *testing.T) {
	p := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	v2 := p
	v2.Version = 2
	three := mustAppend(t, p, PlainChecksum)
	two := mustAppend(t, v2, PlainChecksum)
	// edited changes bytes and corrects the checksum, so that only the change can be the reason for a drop.
	edited := func(b []byte, edit func([]byte)) []byte {
		b = bytes.Clone(b)
		edit(b)
		b[6], b[7] = 0, 0
		sum := checksum(b, 0)
		b[6], b[7] = byte(sum>>8), byte(sum)
		return b
	}
	tests := []struct {
		name string
		b    []byte
		want DropReason
	}{
		{"sound", three, DropNone},
		{"empty", nil, DropLength},
		{"one byte", three[:1], DropLength},
		{"header cut", three[:7], DropLength},
		{"address cut", three[:11], DropLength},
		{"v2 without auth data", two[:12], DropLength},
		{"Ethernet padding", append(bytes.Clone(three), make([]byte, 14)...), DropNone},
		{"padding need not be zero", append(bytes.Clone(three), 1, 2, 3), DropNone},
		{"one more than padding", append(bytes.Clone(three), make([]byte, 15)...), DropLength},
		{"v2 padding", append(bytes.Clone(two), make([]byte, 6)...), DropNone},
		{"HMAC trailer", append(bytes.Clone(three), make([]byte, 28)...), DropLength},
		{"version 1", edited(three, func(b []byte) { b[0] = 0x11 }), DropVersion},
		{"version 4", edited(three, func(b []byte) { b[0] = 0x41 }), DropVersion},
		{"type 2", edited(three, func(b []byte) { b[0] = 0x32 }), DropType},
		{"VRID 0", edited(three, func(b []byte) { b[1] = 0 }), DropVRID},
		{"interval 0", edited(three, func(b []byte) { b[5] = 0 }), DropInterval},
		{"v2 interval 0", edited(two, func(b []byte) { b[5] = 0 }), DropInterval},
		{"checksum", append(bytes.Clone(three[:11]), 0xff), DropChecksum},
		{"v2 checksum covers the auth data", append(bytes.Clone(two[:19]), 1), DropChecksum},
		{"reserved bits are ignored", edited(three, func(b []byte) { b[4] |= 0xf0 }), DropNone},
		{"v2 authentication is read", edited(two, func(b []byte) { b[4] = 1; copy(b[12:], "password") }), DropNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, reason := Parse(tt.b, master, group)
			if reason != tt.want {
				t.Errorf("reason = %s, want %s", reason, tt.want)
			}
			if reason != DropNone && !cmp.Equal(got, Packet{}, sameAddr) {
				t.Errorf("dropped packet = %+v, want the zero packet", got)
			}
		})
	}
	if _, reason := Parse(two, netip.MustParseAddr("fe80::1"), Group(kernel.IPv6)); reason != DropVersion {
		t.Errorf("version 2 on IPv6: %s, want version", reason)
	}
	two[6], two[7] = 0, 0
	sum := checksum(two, pseudoHeader(master, group, len(two)))
	two[6], two[7] = byte(sum>>8), byte(sum)
	if _, reason := Parse(two, master, group); reason != DropChecksum {
		t.Errorf("version 2 with a pseudo-header: %s, want checksum", reason)
	}
	six := netip.MustParseAddr("fe80::1")
	p.Addresses = []netip.Addr{six}
	long, err := p.Append(nil, six, Group(kernel.IPv6), PseudoHeaderChecksum)
	if err != nil {
		t.Fatal(err)
	}
	if _, reason := Parse(append(long, 0), six, Group(kernel.IPv6)); reason != DropLength {
		t.Errorf("IPv6 needs no padding: %s, want length", reason)
	}
	if _, reason := Parse(three, netip.Addr{}, netip.Addr{}); reason != DropNone {
		t.Errorf("unknown addresses: %s; a plain checksum needs none", reason)
	}
}

// TestParseIPv6: the rules that differ over IPv6, on bytes whose checksums were computed by hand (see
// TestRFC9568Section5_2PacketFormat).
func TestParseIPv6(t *testing.T) {
	six, other := netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fe80::3")
	const address = "fe800000000000000000000000000001"
	for _, tt := range []struct {
		name, b  string
		src, dst netip.Addr
		want     DropReason
	}{
		{"sound", "31016401" + "00016e5a" + address, six, Group(kernel.IPv6), DropNone},
		// 3101 + 6401 + 0001 + fe80 + 0001 = 19384 -> 9385; ^ = 6c7a
		{"without a pseudo-header", "31016401" + "00016c7a" + address, six, Group(kernel.IPv6), DropChecksum},
		{"from another source", "31016401" + "00016e5a" + address, other, Group(kernel.IPv6), DropChecksum},
		{"to another destination", "31016401" + "00016e5a" + address, six, other, DropChecksum},
		{"contains an IPv4 address", "31016401" + "00016e5a" + "0a4d0064", six, Group(kernel.IPv6), DropLength},
		{"half an address", "31016401" + "00016e5a" + address[:16], six, Group(kernel.IPv6), DropLength},
		{"one byte more", "31016401" + "00016e5a" + address + "00", six, Group(kernel.IPv6), DropLength},
		{"over IPv4", "31016401" + "00016e5a" + address, master, group, DropChecksum},
		{"version 2", "21016401" + "00016e5a" + address, six, Group(kernel.IPv6), DropVersion},
	} {
		b, err := hex.DecodeString(tt.b)
		if err != nil {
			t.Fatal(err)
		}
		if _, reason := Parse(b, tt.src, tt.dst); reason != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, reason, tt.want)
		}
	}
}

// TestParseAllocatesOnce: Parse allocates only the addresses, because it runs for every advert on the segment.
func TestParseAllocatesOnce(t *testing.T) {
	b := mustAppend(t, Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}, PseudoHeaderChecksum)
	if n := testing.AllocsPerRun(100, func() { Parse(b, master, group) }); n > 1 {
		t.Errorf("Parse allocates %v times, want at most 1", n)
	}
}

func genPacket(t *rapid.T, src netip.Addr) Packet {
	p := Packet{
		Version:  uint8(rapid.IntRange(2, 3).Draw(t, "version")),
		VRID:     uint8(rapid.IntRange(1, 255).Draw(t, "vrid")),
		Priority: rapid.Uint8().Draw(t, "priority"),
	}
	p.Interval = time.Duration(rapid.IntRange(1, 4095).Draw(t, "interval")) * centisecond
	if !src.Is4() {
		p.Version = 3
	} else if p.Version == 2 {
		p.Interval = time.Duration(rapid.IntRange(1, 255).Draw(t, "interval")) * time.Second
	}
	for range rapid.IntRange(1, 20).Draw(t, "addresses") {
		p.Addresses = append(p.Addresses, genAddr(t, src.Is4(), "address"))
	}
	return p
}

func genAddr(t *rapid.T, four bool, label string) netip.Addr {
	if four {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
	}
	b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	b[0] |= 0x20 // not an IPv4-mapped address, which would be IPv4
	return netip.AddrFrom16(b)
}

// TestRoundTrip: an encoded packet parses to the same packet, and any flipped bit is detected: the packet is dropped,
// or differs. The exception comes from accepting two checksum forms: a flip may turn one form into the other.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		four := rapid.Bool().Draw(t, "IPv4")
		src, dst := genAddr(t, four, "source"), genAddr(t, four, "destination")
		p := genPacket(t, src)
		form := ChecksumForm(rapid.IntRange(0, 1).Draw(t, "form"))
		b, err := p.Append(nil, src, dst, form)
		if err != nil {
			t.Fatal(err)
		}
		got, reason := Parse(b, src, dst)
		if diff := cmp.Diff(p, got, sameAddr); reason != DropNone || diff != "" {
			t.Fatalf("reason %s, diff (-want +got):\n%s", reason, diff)
		}
		bit := rapid.IntRange(0, len(b)*8-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		got, reason = Parse(b, src, dst)
		if reason == DropNone && cmp.Equal(p, got, sameAddr) {
			plain := fold(sum16(b)) == 0xffff
			if p.Version == 2 || !four || plain == (form == PlainChecksum) {
				t.Fatalf("flip of bit %d went unnoticed", bit)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	p := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	f.Add(mustAppend(f, p, PseudoHeaderChecksum), false, false)
	f.Add(mustAppend(f, p, PlainChecksum), true, true)
	p.Version = 2
	f.Add(mustAppend(f, p, PlainChecksum), false, true)
	p.AuthType, p.Password = authPassword, secretOf(f, "secret")
	f.Add(mustAppend(f, p, PlainChecksum), false, true)
	f.Fuzz(func(t *testing.T, b []byte, six, mend bool) {
		src, dst := master, group
		if six {
			src, dst = netip.MustParseAddr("fe80::2"), Group(kernel.IPv6)
		}
		if mend && len(b) >= headerLen { // lets the fuzzer get past the checksum
			b[6], b[7] = 0, 0
			sum := checksum(b, pseudoHeaderFor(b[0]>>4, PlainChecksum, src, dst, len(b)))
			b[6], b[7] = byte(sum>>8), byte(sum)
		}
		p, reason := Parse(b, src, dst)
		if reason != DropNone {
			if !cmp.Equal(p, Packet{}, sameAddr) {
				t.Fatalf("dropped for %s with packet %+v", reason, p)
			}
			return
		}
		if p.AuthType > authPassword || p.AuthType == authPassword && p.Password.IsZero() {
			return // accepted, but never sent
		}
		again, err := p.Append(nil, src, dst, PseudoHeaderChecksum)
		if err != nil {
			t.Fatalf("parsed %+v cannot be sent: %v", p, err)
		}
		back, reason := Parse(again, src, dst)
		if diff := cmp.Diff(p, back, sameAddr); reason != DropNone || diff != "" {
			t.Fatalf("reason %s, diff (-want +got):\n%s", reason, diff)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	p := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Append(buf, master, group, PseudoHeaderChecksum); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	msg := mustAppend(b, Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}, PseudoHeaderChecksum)
	b.ReportAllocs()
	for b.Loop() {
		if _, reason := Parse(msg, master, group); reason != DropNone {
			b.Fatal(reason)
		}
	}
}
