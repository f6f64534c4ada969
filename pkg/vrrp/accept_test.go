package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestRFC9568Section7_1Receiving has one line per rule, for both versions.
func TestRFC9568Section7_1Receiving(t *testing.T) {
	v3 := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	v2 := v3
	v2.Version = 2
	us3 := Params{VRID: 51, Version: 3, Priority: 100, AdvertInterval: time.Second, Source: backup}
	us2 := us3
	us2.Version = 2
	tests := []struct {
		name   string
		packet Packet
		p      Params
		edit   func(*Datagram)
		want   DropReason
	}{
		{"v3", v3, us3, nil, DropNone},
		{"v2", v2, us2, nil, DropNone},
		{"own packet", v3, us3, func(d *Datagram) { d.Source = backup }, DropOwnPacket},
		{"own packet, IPv4-mapped", v3, us3, func(d *Datagram) { d.Source = netip.MustParseAddr("::ffff:10.77.0.3") }, DropOwnPacket},
		{"TTL 254", v3, us3, func(d *Datagram) { d.TTL = 254 }, DropTTL},
		{"TTL unknown", v3, us3, func(d *Datagram) { d.TTL = 0 }, DropTTL},
		{"TTL comes before the checksum", v3, us3, func(d *Datagram) { d.TTL, d.Payload[7] = 1, 0 }, DropTTL},
		{"v2 at a v3 instance", v2, us3, nil, DropVersion},
		{"v3 at a v2 instance", v3, us2, nil, DropVersion},
		{"truncated", v3, us3, func(d *Datagram) { d.Payload = d.Payload[:8] }, DropLength},
		{"empty", v3, us3, func(d *Datagram) { d.Payload = nil }, DropLength},
		{"checksum", v3, us3, func(d *Datagram) { d.Payload[7]++ }, DropChecksum},
		{"other VRID", v3, Params{VRID: 52, Source: backup}, nil, DropVRID},
		{"v2 password", v2, us2, func(d *Datagram) {
			d.Payload[4] = 1 // adds 0x0100 to the sum; the next line compensates for it
			d.Payload[6]--
		}, DropAuth},
		{"v2 interval", v2, Params{VRID: 51, Version: 2, AdvertInterval: 2 * time.Second, Source: backup}, nil, DropInterval},
		{"v3 interval is the MASTER's to choose", v3, Params{VRID: 51, AdvertInterval: 100 * time.Millisecond, Source: backup}, nil, DropNone},
		{"an owner accepts adverts too", v3, Params{VRID: 51, Priority: 255, Source: backup}, nil, DropNone},
		{"defaults are version 3", v3, Params{VRID: 51}, nil, DropNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Datagram{Payload: mustAppend(t, tt.packet, PseudoHeaderChecksum), Source: master, Destination: group, TTL: 255}
			if tt.edit != nil {
				tt.edit(&d)
			}
			h := Classify(d, tt.p, nil, Peers{})
			got, reason := h.Packet, h.Drop
			if reason != tt.want {
				t.Fatalf("reason = %s, want %s", reason, tt.want)
			}
			if want := tt.packet.Priority; reason == DropNone && got.Priority != want {
				t.Errorf("priority = %d, want %d", got.Priority, want)
			}
		})
	}
}

func TestDropReasonNames(t *testing.T) {
	seen := map[string]bool{DropNone.String(): true}
	for _, r := range DropReasons() {
		name := r.String()
		if name == "" || seen[name] || strings.ToLower(name) != name || strings.Contains(name, " ") {
			t.Errorf("DropReason %d has the name %q", r, name)
		}
		seen[name] = true
	}
	if got, want := len(DropReasons()), int(DropUnknown); got != want {
		t.Errorf("%d reasons, want %d", got, want)
	}
	if got := DropReason(200).String(); got != "unknown" {
		t.Errorf("DropReason(200) = %q", got)
	}
}
