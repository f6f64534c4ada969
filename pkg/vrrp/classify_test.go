package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	otherVIP   = netip.MustParseAddr("10.77.0.200")
	stranger   = netip.MustParseAddr("10.77.0.66")
	otherGroup = netip.MustParseAddr("224.0.0.19")
	ourPeers   = Peers{Directors: []netip.Addr{master}, Complete: true}
)

// advertFrom returns a valid advert as received.
func advertFrom(t interface{ Fatal(...any) }, source netip.Addr, p Packet) Datagram {
	auth := p.AuthType
	if p.Password.IsZero() {
		p.AuthType = authNone
	}
	b, err := p.Append(nil, source, group, PlainChecksum)
	if err != nil {
		t.Fatal(err)
	}
	if auth != p.AuthType {
		b[4] = auth
		b[6] -= auth // keeps the checksum: the sum of its words is unchanged as long as nothing overflows
		if !verify(2, b, source, group) {
			t.Fatal("the test's advert has a wrong checksum")
		}
	}
	return Datagram{Payload: b, Source: source, Destination: group, TTL: TTL}
}

// TestClassify has one line for each kind of sender and each reason to refuse its adverts.
func TestClassify(t *testing.T) {
	v3 := Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}}
	v2 := v3
	v2.Version = 2
	slow, secret := v2, v2
	slow.Interval, secret.AuthType = 2*time.Second, authPassword
	foreign, foreignSecret, other, both := v3, secret, v3, v3
	foreign.Addresses, foreignSecret.Addresses, both.Addresses = []netip.Addr{otherVIP}, []netip.Addr{otherVIP}, []netip.Addr{otherVIP, vip}
	other.VRID = 52
	otherForeign := foreign
	otherForeign.VRID = 52
	us2, us3 := Params{VRID: 51, Version: 2, Source: backup}, Params{VRID: 51, Version: 3, Source: backup}
	pass, ours, wrong := us2, v2, v2
	pass.AuthType, pass.Password = authPassword, secretOf(t, "secret")
	ours.AuthType, ours.Password = authPassword, pass.Password
	wrong.AuthType, wrong.Password = authPassword, secretOf(t, "secre7")
	empty := v3
	empty.Addresses = nil
	ah := v2
	ah.AuthType = 2
	for name, c := range map[string]struct {
		from netip.Addr
		p    Packet
		us   Params
		edit func(*Datagram)
		want Standing
		drop DropReason
	}{
		"director":                                    {master, v3, us3, nil, Obeyed, DropNone},
		"director, other VIPs":                        {master, foreign, us3, nil, Obeyed, DropNone},
		"director, password":                          {master, secret, us2, nil, Refused, DropAuth},
		"director, password and other VIPs":           {master, foreignSecret, us2, nil, Refused, DropAuth},
		"director, our password":                      {master, ours, pass, nil, Obeyed, DropNone},
		"director, wrong password":                    {master, wrong, pass, nil, Refused, DropAuth},
		"director, no password":                       {master, v2, pass, nil, Refused, DropAuth},
		"director, no addresses":                      {master, empty, us3, nil, Invalid, DropAddressCount},
		"director, AH":                                {master, ah, pass, nil, Refused, DropAuth},
		"stranger with our VIP, wrong password":       {stranger, wrong, pass, nil, Refused, DropAuth},
		"director, version, we have a password":       {master, v3, pass, nil, Refused, DropVersion},
		"director, version":                           {master, v3, us2, nil, Refused, DropVersion},
		"director, version and password":              {master, secret, us3, nil, Refused, DropVersion},
		"director, interval":                          {master, slow, us2, nil, Refused, DropInterval},
		"stranger with our VIP":                       {stranger, both, us3, nil, Obeyed, DropNone},
		"stranger with our VIP, password":             {stranger, secret, us2, nil, Refused, DropAuth},
		"stranger with another VIP":                   {stranger, foreign, us3, nil, Stranger, DropForeignAddresses},
		"stranger with another VIP, password":         {stranger, foreignSecret, us2, nil, Stranger, DropAuth},
		"our VIP, other VRID":                         {stranger, other, us3, nil, Elsewhere, DropVRID},
		"a director's other virtual router":           {master, otherForeign, us3, nil, Invalid, DropVRID},
		"password and wrong checksum":                 {master, secret, us2, func(d *Datagram) { d.Payload[6]++ }, Invalid, DropChecksum},
		"version and wrong checksum":                  {master, v3, us2, func(d *Datagram) { d.Payload[6]++ }, Invalid, DropVersion},
		"password, crossed a router":                  {master, secret, us2, func(d *Datagram) { d.TTL = 254 }, Invalid, DropTTL},
		"to our own address":                          {master, v3, us3, func(d *Datagram) { d.Destination = backup }, Refused, DropUnicast},
		"to our own address, IPv4-mapped":             {master, v3, us3, func(d *Datagram) { d.Destination = netip.MustParseAddr("::ffff:10.77.0.3") }, Refused, DropUnicast},
		"to our own address, stranger":                {stranger, foreign, us3, func(d *Datagram) { d.Destination = backup }, Invalid, DropUnicast},
		"to our own address, stranger with our VIP":   {stranger, both, us3, func(d *Datagram) { d.Destination = backup }, Refused, DropUnicast},
		"to another group":                            {master, v3, us3, func(d *Datagram) { d.Destination = otherGroup }, Refused, DropGroup},
		"to another group, stranger":                  {stranger, foreign, us3, func(d *Datagram) { d.Destination = otherGroup }, Invalid, DropVRID},
		"to every host":                               {master, v3, us3, func(d *Datagram) { d.Destination = broadcast }, Invalid, DropDestination},
		"to the group of the other family":            {master, v3, us3, func(d *Datagram) { d.Destination = netip.MustParseAddr("ff02::12") }, Invalid, DropDestination},
		"password, to our own address":                {master, secret, us2, func(d *Datagram) { d.Destination = backup }, Refused, DropUnicast},
		"our own source address, although a password": {backup, secret, us2, nil, Invalid, DropOwnPacket},
	} {
		d := advertFrom(t, c.from, c.p)
		if c.edit != nil {
			c.edit(&d)
		}
		h := Classify(d, c.us, []netip.Addr{vip}, ourPeers)
		if h.Standing != c.want || h.Drop != c.drop || h.Director != (c.from == master) {
			t.Errorf("%s: standing %d, dropped for %s, director %t; want %d, %s", name, h.Standing, h.Drop, h.Director, c.want, c.drop)
		}
	}
}

// TestClassifyAnyBytes: only a packet that parses is more than invalid, and only one without a reason to drop it is
// obeyed.
func TestClassifyAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Datagram{
			Payload: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload"), Source: stranger, Destination: group,
			TTL: rapid.IntRange(254, 255).Draw(t, "ttl"),
		}
		if rapid.Bool().Draw(t, "valid") {
			d = advertFrom(t, sourceOf(rapid.IntRange(0, 3).Draw(t, "source")), Packet{
				Version: uint8(rapid.IntRange(2, 3).Draw(t, "version")), VRID: uint8(rapid.IntRange(51, 52).Draw(t, "vrid")),
				Priority: rapid.Uint8().Draw(t, "priority"), Interval: time.Duration(rapid.IntRange(1, 3).Draw(t, "interval")) * sec,
				Addresses: rapid.SliceOfN(rapid.SampledFrom([]netip.Addr{vip, otherVIP}), 1, 3).Draw(t, "VIPs"),
			})
		}
		h := Classify(d, Params{VRID: 51, Source: backup, Version: uint8(rapid.IntRange(2, 3).Draw(t, "our version"))}, []netip.Addr{vip}, ourPeers)
		if _, malformed := Parse(d.Payload, d.Source, d.Destination); malformed != DropNone && h.Standing != Invalid {
			t.Errorf("%+v is malformed (%s)", h, malformed)
		}
		if (h.Standing == Obeyed) != (h.Drop == DropNone) {
			t.Errorf("%+v", h)
		}
		var s Sightings
		for _, state := range []State{Init, Backup, Master, Fault} {
			s.Note(0, h, Params{VRID: 51}, []netip.Addr{vip})
			s.Note(time.Hour, h, Params{VRID: 51}, []netip.Addr{vip})
			_ = s.Report(time.Hour, View{Params: Params{VRID: 51}.withDefaults(), State: state, Peers: ourPeers})
		}
	})
}
