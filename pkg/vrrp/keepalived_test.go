package vrrp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestKeepalivedPackets decodes adverts of Debian's keepalived 2.2.7, captured with tcpdump -xx, and encodes them again,
// byte for byte. The password of v2_pass, v2_unicast_pass and v2_resign is secret, that of v2_pass8 is 12345678.
func TestKeepalivedPackets(t *testing.T) {
	files, err := filepath.Glob("testdata/keepalived/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures (%v)", err)
	}
	secrets := map[string]string{"v2_pass": "secret", "v2_unicast_pass": "secret", "v2_resign": "secret", "v2_pass8": "12345678"}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			payload, src, dst := captured(t, file)
			p, why := Parse(payload, src, dst)
			if why != DropNone {
				t.Fatalf("dropped: %s", why)
			}
			if want := secrets[name]; want != "" && p.Password != secretOf(t, want) || want == "" && p.AuthType != authNone {
				t.Errorf("authentication type %d, or another password than %q", p.AuthType, want)
			}
			again, err := p.Append(nil, src, dst, PseudoHeaderChecksum)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hex.EncodeToString(payload), hex.EncodeToString(again)); diff != "" {
				t.Errorf("(-captured +encoded):\n%s", diff)
			}
			us := Params{
				VRID: 51, Version: p.Version, AdvertInterval: p.Interval, Source: netip.MustParseAddr("10.77.0.3"),
				AuthType: p.AuthType, Password: p.Password,
			}
			h := Classify(Datagram{Payload: payload, Source: src, Destination: dst, TTL: TTL}, us, p.Addresses, transportTo(dst))
			if h.Standing != Obeyed {
				t.Errorf("not obeyed: %s", h.Drop)
			}
		})
	}
}

// transportTo returns what a receiver with this address says about the sender: a unicast peer, or nothing.
func transportTo(dst netip.Addr) Peers {
	if dst.IsMulticast() {
		return Peers{}
	}
	return Peers{Transport: Transport{Unicast: true, Peers: []netip.Addr{netip.MustParseAddr("10.77.0.2")}}}
}

// TestKeepalivedVirtualMAC: the packets of a keepalived with use_vmac, among those of TestKeepalivedPackets, come from the
// virtual router's MAC address, with vmac_xmit_base from that of the interface.
func TestKeepalivedVirtualMAC(t *testing.T) {
	for name, want := range map[string]string{
		"v2_vmac": "00005e000133", "v3_vmac": "00005e000133", "v3_vmac_resign": "00005e000133",
		"v3_ip6_vmac": "00005e000233", "v3_ip6_vmac_resign": "00005e000233",
		"v3_vmac_base": "9acbf7fd5c7f",
	} {
		if got := hex.EncodeToString(frameOf(t, filepath.Join("testdata", "keepalived", name+".txt"))[6:12]); got != want {
			t.Errorf("%s comes from %s, want %s", name, got, want)
		}
	}
}

// frameOf returns a captured frame.
func frameOf(t *testing.T, file string) []byte {
	t.Helper()
	dump, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(dump)) {
		_, data, _ := strings.Cut(line, ":")
		digits.WriteString(strings.Join(strings.Fields(data), ""))
	}
	frame, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// captured returns the VRRP message of a frame, and the addresses of its packet.
func captured(t *testing.T, file string) (payload []byte, src, dst netip.Addr) {
	t.Helper()
	frame := frameOf(t, file)
	const ethernet, ipv4, ipv6 = 14, 20, 40
	packet := frame[ethernet:]
	switch {
	case bytes.Equal(frame[12:14], []byte{0x08, 0x00}):
		return packet[ipv4:], netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
	case bytes.Equal(frame[12:14], []byte{0x86, 0xdd}):
		return packet[ipv6:], netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
	}
	t.Fatalf("not an IP packet: % x", frame)
	return nil, src, dst
}
