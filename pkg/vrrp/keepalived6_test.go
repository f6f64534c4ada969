package vrrp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// TestKeepalivedsPacketsOfIPv6: what keepalived sends decodes, and encodes again byte for byte.
func TestKeepalivedsPacketsOfIPv6(t *testing.T) {
	text, err := os.ReadFile("testdata/keepalived-ipv6.packets")
	if err != nil {
		t.Fatal(err)
	}
	linkLocal, alone := "fe80::ff:fe00:2", []string{"fd00:77::100"}
	many := []string{"fe80::100"}
	for n := range 30 {
		many = append(many, fmt.Sprintf("fd00:77::%x", 0x201+n))
	}
	want := map[string]struct {
		vrid, priority uint8
		interval       time.Duration
		source, group  string
		vips           []string
	}{
		"one VIP":            {51, 100, time.Second, linkLocal, "ff02::12", alone},
		"one VIP, resigning": {51, 0, time.Second, linkLocal, "ff02::12", alone},
		"31 VIPs, the first a link-local one, every 10 ms": {52, 254, 10 * time.Millisecond, linkLocal, "ff02::12", many},
		"31 VIPs, resigning":              {52, 0, 10 * time.Millisecond, linkLocal, "ff02::12", many},
		"an address owner, every 40.95 s": {255, 255, MaxIntervalV3, linkLocal, "ff02::12", []string{"2001:db8::1"}},
		"an address owner, resigning":     {255, 0, MaxIntervalV3, linkLocal, "ff02::12", []string{"2001:db8::1"}},
		"unicast":                         {54, 150, 100 * time.Millisecond, "fe80::3", "fe80::4", []string{"fd00:77::104"}},
		"unicast, resigning":              {54, 0, 100 * time.Millisecond, "fe80::3", "fe80::4", []string{"fd00:77::104"}},
	}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), ": ")
		tt, known := want[name]
		delete(want, name)
		if strings.HasPrefix(line, "#") {
			continue
		}
		packet, err := hex.DecodeString(digits)
		if err != nil || !known || len(packet) < 40 {
			t.Fatalf("%s: %v", name, err)
		}
		source, _ := netip.AddrFromSlice(packet[8:24])
		destination, _ := netip.AddrFromSlice(packet[24:40])
		p, reason := Parse(packet[40:], source, destination)
		if reason != DropNone {
			t.Errorf("%s: %s", name, reason)
			continue
		}
		if p.Version != 3 || p.VRID != tt.vrid || p.Priority != tt.priority || p.Interval != tt.interval || source.String() != tt.source ||
			destination.String() != tt.group || fmt.Sprint(p.Addresses) != fmt.Sprint(tt.vips) {
			t.Errorf("%s: %+v from %s to %s", name, p, source, destination)
		}
		if again, err := p.Append(nil, source, destination, PseudoHeaderChecksum); err != nil || !bytes.Equal(again, packet[40:]) {
			t.Errorf("%s encodes as %x, %v\nwant %x", name, again, err, packet[40:])
		}
	}
	if len(want) > 0 {
		t.Errorf("there are no packets for %v", want)
	}
}
