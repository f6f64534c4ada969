package neigh

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestGratuitousGolden(t *testing.T) {
	sender := mac{0x02, 0x00, 0x5e, 0x10, 0x20, 0x30}
	vip := netip.MustParseAddr("10.77.0.100")
	for _, c := range []struct {
		op   operation
		want string
	}{
		{request, "ffffffffffff" + "02005e102030" + "0806" +
			"0001" + "0800" + "06" + "04" + "0001" + "02005e102030" + "0a4d0064" + "000000000000" + "0a4d0064"},
		{reply, "ffffffffffff" + "02005e102030" + "0806" +
			"0001" + "0800" + "06" + "04" + "0002" + "02005e102030" + "0a4d0064" + "02005e102030" + "0a4d0064"},
	} {
		f := gratuitous(c.op, sender, vip)
		if got := hex.EncodeToString(f[:]); got != c.want {
			t.Errorf("operation %d:\n got %s\nwant %s", c.op, got, c.want)
		}
	}
}

func TestProbeGolden(t *testing.T) {
	f := probe(mac{0x02, 0x00, 0x5e, 0x10, 0x20, 0x30}, netip.MustParseAddr("10.77.0.100"))
	want := "ffffffffffff" + "02005e102030" + "0806" +
		"0001" + "0800" + "06" + "04" + "0001" + "02005e102030" + "00000000" + "000000000000" + "0a4d0064"
	if got := hex.EncodeToString(f[:]); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Sender and target are always the VIP at the sender's hardware address.
func TestGratuitousIsGratuitous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sender := mac(rapid.SliceOfN(rapid.Byte(), macSize, macSize).Draw(t, "sender"))
		ip := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "vip"))
		op := rapid.SampledFrom([]operation{request, reply}).Draw(t, "op")
		f := gratuitous(op, sender, netip.AddrFrom4(ip))
		if [4]byte(f[28:32]) != ip || [4]byte(f[38:42]) != ip {
			t.Errorf("sender %v, target %v; want %v", f[28:32], f[38:42], ip)
		}
		if mac(f[6:12]) != sender || mac(f[22:28]) != sender || mac(f[0:6]) != broadcast {
			t.Errorf("hardware addresses of % x", f)
		}
	})
}
