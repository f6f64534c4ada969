package bfd

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sample is a packet with a different value in each field.
var sample = Packet{
	Diag: DiagNeighbourDown, State: Up, Poll: true, ControlPlaneIndependent: true, Multiplier: 3, MyDiscriminator: 0x01020304,
	YourDiscriminator: 0xa0b0c0d0, DesiredMinTx: 10 * time.Millisecond, RequiredMinRx: 300 * time.Millisecond, RequiredMinEcho: 50 * time.Millisecond,
}

func unhex(t testing.TB, text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRFC5880Section41Format: the fields are where section 4.1 has them.
func TestRFC5880Section41Format(t *testing.T) {
	want := unhex(t, "23e8031801020304a0b0c0d000002710000493e00000c350")
	if got := sample.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	back, why := Parse(want)
	if diff := cmp.Diff(sample, back); diff != "" || why != DropNone {
		t.Errorf("%s (-want +got)\n%s", why, diff)
	}
	limited := sample
	limited.DesiredMinTx, limited.RequiredMinRx = 1<<62, -1
	if back, _ = Parse(limited.Append(nil)); back.DesiredMinTx != 4294967295*time.Microsecond || back.RequiredMinRx != 0 {
		t.Errorf("intervals out of range: %v, %v", back.DesiredMinTx, back.RequiredMinRx)
	}
}

// TestRFC5880Section686Discards: each packet differs in one thing from a good one.
func TestRFC5880Section686Discards(t *testing.T) {
	good := sample.Append(nil)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	discriminator := func(p Packet) []byte { return p.Append(nil) }
	up, down := sample, sample
	up.YourDiscriminator = 0
	down.YourDiscriminator, down.State = 0, Down
	adminDown := down
	adminDown.State = AdminDown
	nobody := sample
	nobody.MyDiscriminator = 0
	for name, c := range map[string]struct {
		b    []byte
		want DropReason
	}{
		"good":                        {good, DropNone},
		"trailing bytes":              {append(bytes.Clone(good), 1, 2, 3), DropNone},
		"version 0":                   {change(0, 0x03), DropVersion},
		"version 2":                   {change(0, 0x43), DropVersion},
		"empty":                       {nil, DropLength},
		"a byte short":                {good[:23], DropLength},
		"length below 24":             {change(3, 23), DropLength},
		"length beyond the datagram":  {change(3, 25), DropLength},
		"authentication":              {change(1, good[1]|bitAuth), DropAuth},
		"multiplier 0":                {change(2, 0), DropMultiplier},
		"multipoint":                  {change(1, good[1]|bitMultipoint), DropMultipoint},
		"my discriminator 0":          {discriminator(nobody), DropDiscriminator},
		"your discriminator 0, Up":    {discriminator(up), DropDiscriminator},
		"your discriminator 0, Down":  {discriminator(down), DropNone},
		"your discriminator 0, Admin": {discriminator(adminDown), DropNone},
	} {
		if _, got := Parse(c.b); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func genPacket(t *rapid.T) Packet {
	interval := func(name string) time.Duration {
		return time.Duration(rapid.Uint32().Draw(t, name)) * time.Microsecond
	}
	p := Packet{
		Diag: Diag(rapid.IntRange(0, 31).Draw(t, "diag")), State: State(rapid.IntRange(0, 3).Draw(t, "state")),
		Poll: rapid.Bool().Draw(t, "poll"), Final: rapid.Bool().Draw(t, "final"),
		ControlPlaneIndependent: rapid.Bool().Draw(t, "independent"), Demand: rapid.Bool().Draw(t, "demand"),
		Multiplier: rapid.Uint8Min(1).Draw(t, "multiplier"), MyDiscriminator: rapid.Uint32Min(1).Draw(t, "my"),
		YourDiscriminator: rapid.Uint32().Draw(t, "your"),
		DesiredMinTx:      interval("tx"), RequiredMinRx: interval("rx"), RequiredMinEcho: interval("echo"),
	}
	if p.State >= Init {
		p.YourDiscriminator = max(p.YourDiscriminator, 1)
	}
	return p
}

// TestPacketsSurviveTheWire: every packet is read as it was written.
func TestPacketsSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genPacket(t)
		if back, why := Parse(p.Append(nil)); back != p || why != DropNone {
			t.Fatalf("%s: %+v, want %+v", why, back, p)
		}
	})
}

// FuzzParse: no bytes cause a panic, and a packet that is accepted is written as it was read.
func FuzzParse(f *testing.F) {
	f.Add(sample.Append(nil))
	f.Add([]byte{})
	f.Add(unhex(f, "204003180000000100000000000f4240000f424000000000")) // FRR's bfdd, Down
	f.Fuzz(func(t *testing.T, b []byte) {
		p, why := Parse(b)
		if why != DropNone {
			if p != (Packet{}) {
				t.Errorf("%s, and a packet %+v", why, p)
			}
			return
		}
		want := bytes.Clone(b[:Size])
		want[3] = Size // trailing bytes are not kept
		if got := p.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("read  %x\nwrote %x", want, got)
		}
	})
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{AdminDown.String(), "AdminDown"},
		{Up.String(), "Up"},
		{State(9).String(), "State(9)"},
		{DiagDetection.String(), "control detection time expired"},
		{Diag(30).String(), "diagnostic 30"},
		{DropTTL.String(), "ttl"},
		{DropReason(99).String(), "DropReason(99)"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
