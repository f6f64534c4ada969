package ipvs

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// The bytes of a request, attribute by attribute (little endian hosts).
func TestRequestBytes(t *testing.T) {
	if nl.NativeEndian().Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes below are those of a little endian host")
	}
	s := service(3306, "wrr")
	s.Persistence, s.Netmask = 50*time.Second, 24
	table := &Table{family: 0x1c}
	r, err := table.request(lvs.Op{Kind: lvs.AddServer, Service: s, Server: server("10.77.0.11", config.DR, 3)})
	if err != nil {
		t.Fatal(err)
	}
	want := "98000000" + "1c00" + "0100" + "07000000" + "00000000" + // nlmsghdr
		"05" + "01" + "0000" + // genlmsghdr: NEW_DEST
		"4800" + "0100" + // service
		"0600" + "0100" + "0200" + "0000" + // AF_INET
		"0600" + "0200" + "0600" + "0000" + // TCP
		"0800" + "0300" + "0a4d0064" +
		"0600" + "0400" + "0cea" + "0000" +
		"0800" + "0600" + "77727200" +
		"0c00" + "0700" + "01000000" + "ffffffff" +
		"0800" + "0800" + "32000000" +
		"0800" + "0900" + "ffffff00" +
		"3c00" + "0200" + // real server
		"0800" + "0100" + "0a4d000b" +
		"0600" + "0200" + "0cea" + "0000" +
		"0800" + "0300" + "03000000" +
		"0800" + "0400" + "03000000" +
		"0800" + "0500" + "00000000" +
		"0800" + "0600" + "00000000" +
		"0600" + "0b00" + "0200" + "0000"
	if diff := cmp.Diff(want, hex.EncodeToString(r.bytes(7))); diff != "" {
		t.Error(diff)
	}
}

// An IPv6 service and its real server, byte for byte.
func TestIPv6OnTheWire(t *testing.T) {
	s := lvs.Service{Key: lvs.Key{Protocol: "tcp", Address: netip.MustParseAddr("fd00::100"), Port: 80}, Scheduler: "wrr"}
	r := lvs.Server{Address: netip.MustParseAddr("fd00::11"), Port: 80, Forward: config.DR, Weight: 3}
	for want, got := range map[string][]byte{
		"5400" + "0100" +
			"0600" + "0100" + "0a00" + "0000" + // AF_INET6
			"0600" + "0200" + "0600" + "0000" +
			"1400" + "0300" + "fd000000000000000000000000000100" +
			"0600" + "0400" + "0050" + "0000" +
			"0800" + "0600" + "77727200" +
			"0c00" + "0700" + "00000000" + "ffffffff" +
			"0800" + "0800" + "00000000" +
			"0800" + "0900" + "80000000": encodeService(toService(s)).Serialize(), // a prefix length, where IPv4 has a mask
		"4800" + "0200" +
			"1400" + "0100" + "fd000000000000000000000000000011" +
			"0600" + "0200" + "0050" + "0000" +
			"0800" + "0300" + "03000000" +
			"0800" + "0400" + "03000000" +
			"0800" + "0500" + "00000000" +
			"0800" + "0600" + "00000000" +
			"0600" + "0b00" + "0a00" + "0000": encodeDestination(toDestination(r)).Serialize(),
	} {
		if diff := cmp.Diff(want, hex.EncodeToString(got)); diff != "" {
			t.Error(diff)
		}
	}
	marked := encodeService(toService(lvs.Service{Key: lvs.Marked(kernel.IPv6, 7), Scheduler: "rr"})).Serialize()
	if got, err := decodeService(marked); err != nil || got.Key != lvs.Marked(kernel.IPv6, 7) {
		t.Errorf("a mark: %+v, %v", got, err)
	}
	marked[8] = 0xff // of no family
	if got, err := decodeService(marked); !errors.Is(err, errMalformed) {
		t.Errorf("a mark of no family: %+v, %v", got, err)
	}
}

// Addresses that the kernel would interpret as others are not sent to it.
func TestInexpressible(t *testing.T) {
	table := &Table{family: 0x1c}
	for address, want := range map[string]string{
		"":                   "no address",
		"::ffff:10.77.0.100": "the IPv4-mapped address ::ffff:10.77.0.100: write 10.77.0.100",
		"fe80::1%eth0":       "the address fe80::1%eth0, whose zone IPVS does not know",
	} {
		a, _ := netip.ParseAddr(address)
		s := service(3306, "rr")
		bad := s
		bad.Address = a
		_, err := table.request(lvs.Op{Kind: lvs.AddService, Service: bad})
		if err == nil || !strings.HasSuffix(err.Error(), "the virtual server has "+want) {
			t.Errorf("service %s: %v", address, err)
		}
		_, err = table.request(lvs.Op{Kind: lvs.AddServer, Service: s, Server: lvs.Server{Address: a, Port: 1}})
		if err == nil || !strings.HasSuffix(err.Error(), "the real server has "+want) {
			t.Errorf("server %s: %v", address, err)
		}
	}
}

// Decoding is the inverse of encoding: the kernel answers with the attributes that it accepts.
func TestRoundTrip(t *testing.T) {
	address := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 4, 4), func(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) netip.Addr { return netip.AddrFrom16([16]byte(b)) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		s := lvs.Service{
			Key: lvs.Key{
				Protocol: rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(t, "protocol"),
				Address:  address.Draw(t, "vip"), Port: rapid.Uint16().Draw(t, "port"),
			},
			Scheduler:   rapid.StringMatching("[a-z]{1,15}").Draw(t, "scheduler"),
			Persistence: time.Duration(rapid.Uint32Range(0, 1<<31).Draw(t, "persistence")) * time.Second,
		}
		if s.Persistence > 0 {
			s.Netmask = rapid.IntRange(1, s.Address.BitLen()).Draw(t, "netmask")
		}
		body := encodeService(toService(s)).Serialize()
		got, err := decodeService(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := diffTables([]lvs.Service{s}, []lvs.Service{got}); diff != "" {
			t.Fatal(diff)
		}
		r := lvs.Server{
			Address: address.Draw(t, "server"), Port: rapid.Uint16().Draw(t, "port"), Weight: rapid.IntRange(0, 65535).Draw(t, "weight"),
			Forward: rapid.SampledFrom([]config.Forward{config.DR, config.NAT, config.TUN}).Draw(t, "forward"),
			Tunnel: rapid.SampledFrom([]config.Tunnel{
				{},
				{Type: config.GRE},
				{Type: config.GRE, Checksum: config.FullChecksum},
				{Type: config.GUE, Port: 5555},
				{Type: config.GUE, Port: 5555, Checksum: config.FullChecksum},
				{Type: config.GUE, Port: 1, Checksum: config.RemoteChecksum},
			}).Draw(t, "tunnel"),
		}
		gotServer, err := decodeServer(encodeServer(r).Serialize(), s.Address)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, gotServer, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStray(t *testing.T) {
	base := toService(service(3306, "rr"))
	for want, change := range map[string]func() (lvs.Service, error){
		"flags 0x40": func() (lvs.Service, error) {
			s := base
			s.Flags = 0x40 | flagHashed
			return decodeService(encodeService(s).Serialize())
		},
		"": func() (lvs.Service, error) {
			s := base
			s.Flags = flagHashed
			return decodeService(encodeService(s).Serialize())
		},
		"persistence of 0s by netmask 0x0": func() (lvs.Service, error) {
			s := base
			s.Flags, s.Netmask = flagPersistent, 0
			return decodeService(encodeService(s).Serialize())
		},
	} {
		if got, err := change(); err != nil || got.Stray != want {
			t.Errorf("Stray = %q, %v; want %q", got.Stray, err, want)
		}
	}
	attr := encodeDestination(toDestination(server("10.77.0.11", config.TUN, 1)))
	attr.AddRtAttr(destTunnelType, nl.Uint8Attr(9))
	attr.AddRtAttr(destTunnelPort, nl.BEUint16Attr(6080))
	got, err := decodeServer(attr.Serialize(), netip.MustParseAddr("10.77.0.100"))
	if want := "tunnel type 9 port 6080 flags 0x0"; err != nil || got.Stray != want {
		t.Errorf("Stray = %q, %v; want %q", got.Stray, err, want)
	}
}

func TestNetmask(t *testing.T) {
	for n := 1; n <= 32; n++ {
		if got, ok := prefix(netmask(n, kernel.IPv4), kernel.IPv4); got != n || !ok {
			t.Errorf("/%d reads back as /%d, %v", n, got, ok)
		}
	}
	for _, mask := range []uint32{0, 0x00ff00ff} {
		if n, ok := prefix(mask, kernel.IPv4); ok {
			t.Errorf("%#x reads as /%d", mask, n)
		}
	}
	if n, ok := prefix(64, kernel.IPv6); n != 64 || !ok {
		t.Errorf("IPv6: %d, %v", n, ok)
	}
}

// A message without NLM_F_ACK gets no answer: the exchange ends with its context.
func TestTalkEndsWithItsContext(t *testing.T) {
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	silent := make([]byte, unix.SizeofNlMsghdr)
	nl.NativeEndian().PutUint32(silent, unix.SizeofNlMsghdr)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = c.talk(ctx, silent, func(message) (bool, error) { return false, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("talk: %v", err)
	}
	// The socket is still usable: the old deadline does not affect the next exchange.
	if _, err := lookup(context.Background(), c); err != nil && !errors.Is(err, ErrNoIPVS) {
		t.Errorf("the next conversation: %v", err)
	}
}

// A request to a generic netlink family that does not exist is refused with an errno, which is not mistaken for
// success.
func TestAbsentFamilyIsRefused(t *testing.T) {
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	err = c.ask(context.Background(), request{family: 0x3ff, command: cmdGetInfo}, func([]byte) error { return nil })
	if err != unix.ENOENT {
		t.Errorf("ask: %v, want ENOENT", err)
	}
	answers, err := c.tell(context.Background(), []request{{family: 0x3ff}, {family: 0x3fe}})
	if diff := cmp.Diff([]unix.Errno{unix.ENOENT, unix.ENOENT}, answers); err != nil || diff != "" {
		t.Errorf("tell: %v %s", err, diff)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{})
	f.Add(request{family: 0x1c, body: []nl.NetlinkRequestData{encodeService(toService(service(3306, "rr")))}}.bytes(1))
	f.Add(request{family: 0x1c, body: []nl.NetlinkRequestData{encodeDestination(toDestination(server("fd00::11", config.TUN, 1)))}}.bytes(1))
	f.Add([]byte{20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		messages, err := parseMessages(b)
		if err != nil {
			return
		}
		for _, m := range messages {
			_, _ = m.errno()
			body, err := m.genl()
			if err != nil {
				continue
			}
			if s, err := decodeService(body); err == nil && !s.Address.IsValid() {
				t.Errorf("a service without an address: %+v", s)
			}
			if r, err := decodeServer(body, netip.IPv4Unspecified()); err == nil && !r.Address.IsValid() {
				t.Errorf("a real server without an address: %+v", r)
			}
		}
	})
}
