package vrrp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWiresharkPackets: what a director sends is, byte for byte, what tshark 4.0.17 has decoded, as docs/vrrp.md says. The
// files are the first advert and the resignation of a director in each variant, captured on the other end of its link. Each
// packet is decoded and encoded again. After a change of an encoding capture that variant anew, and look at it with tshark.
func TestWiresharkPackets(t *testing.T) {
	files, err := filepath.Glob("testdata/wireshark/*.pcap")
	if err != nil || len(files) != 9 {
		t.Fatalf("%d captures, want 9 (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".pcap"), func(t *testing.T) {
			form := PseudoHeaderChecksum
			if strings.Contains(file, "plain") {
				form = PlainChecksum
			}
			resigned := false
			for _, d := range readPcap(t, file) {
				p, why := Parse(d.Payload, d.Source, d.Destination)
				if why != DropNone || d.TTL != TTL {
					t.Fatalf("dropped: %s, TTL %d", why, d.TTL)
				}
				again, err := p.Append(nil, d.Source, d.Destination, form)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(hex.EncodeToString(d.Payload), hex.EncodeToString(again)); diff != "" {
					t.Errorf("(-captured +encoded):\n%s", diff)
				}
				resigned = resigned || p.Priority == PriorityResign
			}
			if !resigned {
				t.Error("there is no resignation")
			}
		})
	}
}

// readPcap returns the VRRP packets of a capture file of Ethernet frames in little-endian order.
func readPcap(t *testing.T, file string) (all []Datagram) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for rest := text[24:]; len(rest) > 0; {
		length := binary.LittleEndian.Uint32(rest[8:])
		frame := rest[16 : 16+length]
		rest = rest[16+length:]
		ip := frame[14:]
		d := Datagram{}
		switch ip[0] >> 4 {
		case 4:
			head := int(ip[0]&15) * 4
			d = Datagram{Payload: ip[head:binary.BigEndian.Uint16(ip[2:])], TTL: int(ip[8]), Source: netip.AddrFrom4([4]byte(ip[12:16])), Destination: netip.AddrFrom4([4]byte(ip[16:20]))}
		case 6:
			d = Datagram{Payload: ip[40 : 40+binary.BigEndian.Uint16(ip[4:])], TTL: int(ip[7]), Source: netip.AddrFrom16([16]byte(ip[8:24])), Destination: netip.AddrFrom16([16]byte(ip[24:40]))}
		}
		all = append(all, d)
	}
	return all
}
