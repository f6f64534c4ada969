package packets

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

const password = "s3cretPW"

// ip4 returns a packet of IPv4 to 10.77.0.3, or to a group.
func ip4(protocol byte, multicast bool, content ...byte) []byte {
	p := append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 255, protocol, 0, 0, 10, 77, 0, 2, 10, 77, 0, 3}, content...)
	if multicast {
		copy(p[16:], []byte{224, 0, 0, 18})
	}
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	return p
}

func ip6(next byte, multicast bool, content ...byte) []byte {
	p := append(append([]byte{0x60, 0, 0, 0, 0, byte(len(content)), next, 255}, make([]byte, 32)...), content...)
	if multicast {
		p[24] = 0xff
	}
	return p
}

// tcp returns a segment with data.
func tcp(flags byte) []byte {
	return append([]byte{0x0c, 0xea, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 5 << 4, flags, 0, 0, 0, 0, 0, 0}, password...)
}

func udp(port uint16, content string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{1, 2}, port), append([]byte{0, 0, 0, 0}, content...)...)
}

// version2 is an advert with a password.
func version2(addresses int) []byte {
	p := append([]byte{0x21, 51, 100, byte(addresses), 1, 1, 0, 0}, make([]byte, 4*addresses)...)
	return append(p, password...)
}

var packets = []struct {
	name      string
	etherType uint16
	packet    []byte
	kept      int
}{
	{"ARP", unix.ETH_P_ARP, make([]byte, 46), 28},
	{"a short ARP", unix.ETH_P_ARP, make([]byte, 4), 4},
	{"an advert of version 2", unix.ETH_P_IP, ip4(112, true, version2(2)...), 20 + 8 + 8},
	{"one that is said to have more addresses", unix.ETH_P_IP, ip4(112, true, append([]byte{0x21, 51, 100, 9, 1, 1, 0, 0, 10, 77, 0, 100}, password...)...), 20 + 8 + 4},
	{"an advert of version 3", unix.ETH_P_IP, ip4(112, true, 0x31, 51, 100, 1, 0, 100, 0, 0, 10, 77, 0, 100), 32},
	{"an advert of IPv6", unix.ETH_P_IPV6, ip6(112, true, append([]byte{0x31, 51, 100, 1, 0, 100, 0, 0}, make([]byte, 16)...)...), 64},
	{"a short advert", unix.ETH_P_IP, ip4(112, true, 0x21, 51), 22},
	{"an error about an advert", unix.ETH_P_IP, ip4(1, false, append([]byte{3, 2, 0, 0, 0, 0, 0, 0}, ip4(112, false, version2(1)...)...)...), 20 + 8 + 20 + 8},
	{"an echo request", unix.ETH_P_IP, ip4(1, false, append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, password...)...), 28},
	{"an error of IPv6", unix.ETH_P_IPV6, ip6(58, false, append([]byte{2, 0, 0, 0, 0, 0, 5, 0}, ip6(6, false, tcp(0x10)...)...)...), 40 + 8 + 40 + 8},
	{"a neighbour advertisement", unix.ETH_P_IPV6, ip6(58, true, append([]byte{136, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 24)...)...), 72},
	{"a report of groups", unix.ETH_P_IP, ip4(2, true, make([]byte, 16)...), 28},
	{"connection synchronization", unix.ETH_P_IP, ip4(17, true, udp(8848, password)...), 28},
	{"BFD with a password", unix.ETH_P_IP, ip4(17, false, udp(3784, string(make([]byte, 24))+password)...), 20 + 8 + 24},
	{"BFD of IPv6", unix.ETH_P_IPV6, ip6(17, false, udp(3784, string(make([]byte, 24)))...), 40 + 8 + 24},
	{"other UDP", unix.ETH_P_IP, ip4(17, false, udp(53, password)...), 0},
	{"other UDP of IPv6", unix.ETH_P_IPV6, ip6(17, false, udp(53, password)...), 0},
	{"SYN with data", unix.ETH_P_IP, ip4(6, false, tcp(0x02)...), 40},
	{"FIN with data", unix.ETH_P_IP, ip4(6, false, tcp(0x11)...), 40},
	{"RST of IPv6", unix.ETH_P_IPV6, ip6(6, false, tcp(0x04)...), 60},
	{"data", unix.ETH_P_IP, ip4(6, false, tcp(0x18)...), 0},
	{"data of IPv6", unix.ETH_P_IPV6, ip6(6, false, tcp(0x18)...), 0},
	{"a later fragment", unix.ETH_P_IP, func() []byte { p := ip4(6, false, tcp(0x02)...); p[7] = 9; return p }(), 0},
	{"a short packet", unix.ETH_P_IP, []byte{0x45, 0}, 0},
	{"a short packet of IPv6", unix.ETH_P_IPV6, []byte{0x60, 0}, 0},
	{"LLDP", 0x88cc, []byte(password), 0},
}

// TestHeaders: what is recorded of packets has no password and no data.
func TestHeaders(t *testing.T) {
	for _, c := range packets {
		kept := headers(c.etherType, c.packet)
		if kept != c.kept {
			t.Errorf("%s: %d bytes, want %d", c.name, kept, c.kept)
		}
		if bytes.Contains(c.packet[:kept], []byte(password)) || bytes.Contains(c.packet[:kept], []byte(password[:2])) {
			t.Errorf("%s: the password is recorded", c.name)
		}
	}
}

// FuzzHeaders: no packet is too short or too strange.
func FuzzHeaders(f *testing.F) {
	for _, c := range packets {
		f.Add(c.etherType, c.packet)
	}
	f.Fuzz(func(t *testing.T, etherType uint16, packet []byte) {
		if kept := headers(etherType, packet); kept < 0 || kept > len(packet) || length(etherType, packet) < len(packet) {
			t.Errorf("%d of %d bytes, of %d", kept, len(packet), length(etherType, packet))
		}
	})
}
