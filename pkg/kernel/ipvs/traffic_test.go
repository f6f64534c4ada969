package ipvs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// statistics encodes a nested attribute whose n-th attribute is n, in 64 or 32 bits.
func statistics(wide bool) []byte {
	var body []byte
	for n := 1; n <= 10; n++ {
		value := nl.Uint64Attr(uint64(n) << 33)
		if !wide && n != statsBytesIn && n != statsBytesOut {
			value = nl.Uint32Attr(uint32(n))
		}
		body = append(body, nl.NewRtAttr(n, value).Serialize()...)
	}
	return body
}

// Statistics in 64 bits win over those in 32, which kernels before 4.1 have alone.
func TestDecodeTraffic(t *testing.T) {
	wide := &lvs.Traffic{
		Connections: 1 << 33, PacketsIn: 2 << 33, PacketsOut: 3 << 33, BytesIn: 4 << 33, BytesOut: 5 << 33,
		ConnectionRate: 6 << 33, PacketRateIn: 7 << 33, PacketRateOut: 8 << 33, ByteRateIn: 9 << 33, ByteRateOut: 10 << 33,
	}
	narrow := &lvs.Traffic{
		Connections: 1, PacketsIn: 2, PacketsOut: 3, BytesIn: 4 << 33, BytesOut: 5 << 33,
		ConnectionRate: 6, PacketRateIn: 7, PacketRateOut: 8, ByteRateIn: 9, ByteRateOut: 10,
	}
	for _, tt := range []struct {
		name string
		have attributes
		want *lvs.Traffic
	}{
		{"both", attributes{destStats: statistics(false), destStats64: statistics(true)}, wide},
		{"an older kernel", attributes{destStats: statistics(false)}, narrow},
		{"none", attributes{}, nil},
		{"empty", attributes{destStats64: {}}, &lvs.Traffic{}},
	} {
		got, err := decodeTraffic(&tt.have, destStats64, destStats)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", tt.name, err, diff)
		}
	}
	if _, err := decodeTraffic(&attributes{destStats64: {200, 0, 1, 0}}, destStats64, destStats); err == nil {
		t.Error("a truncated attribute is no error")
	}
}
