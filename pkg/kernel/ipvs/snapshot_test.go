package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

const heading = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`

const snapshotText = heading + `TCP  0A4D0064:0CEA wrr persistent 5000 FFFFFF00
  -> 0A4D000C:0CEA      Masq    0      0          0         
  -> 0A4D000B:0CEA      Route   65535  7          12        
UDP  [fd00:0000:0000:0000:0000:0000:0000:0100]:0035 rr 
  -> [fd00:0000:0000:0000:0000:0000:0000:0011]:0035      Tunnel  1      0          0         
FWM  00000007 rr ops 
FWM  00000007 rr 
  -> [fd00:0000:0000:0000:0000:0000:0000:0012]:0000      Route   1      0          0         
`

func TestParseSnapshot(t *testing.T) {
	services, err := parseSnapshot([]byte(snapshotText), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	want := `-A -t 10.77.0.100:3306 -s wrr -p 50 -M 255.255.255.0
-a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -m -w 0
-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 65535
-A -u [fd00::100]:53 -s rr
-a -u [fd00::100]:53 -r [fd00::11]:53 -i -w 1 --tun-type ipip
-A -f 7 -s rr -o
-A -f 7 -6 -s rr
-a -f 7 -6 -r [fd00::12]:0 -g -w 1
`
	if diff := cmp.Diff(want, lvs.Rules(services)); diff != "" {
		t.Error(diff)
	}
	if s := services[0].Servers[1]; s.ActiveConnections != 7 || s.InactiveConnections != 12 {
		t.Errorf("counters of %+v", s)
	}
}

// A table of both families in the format of ip_vs_info_seq_show is parsed correctly.
func TestSnapshotRoundTrip(t *testing.T) {
	const tick = 4 * time.Millisecond
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		text.WriteString(heading)
		services := rapid.SliceOfNDistinct(rapid.Custom(drawService), 0, 4, func(s lvs.Service) lvs.Key { return s.Key }).Draw(t, "services")
		for _, s := range services {
			fmt.Fprintf(&text, "%-4s %s %s ", strings.ToUpper(s.Protocol), printed(s.Address, s.Port), s.Scheduler)
			if s.Persistence > 0 { // the kernel prints ntohl of the stored value
				memory := binary.NativeEndian.AppendUint32(nil, netmask(s.Netmask, s.Family()))
				fmt.Fprintf(&text, "persistent %d %08X ", s.Persistence/tick, binary.BigEndian.Uint32(memory))
			}
			text.WriteByte('\n')
			for _, r := range s.Servers {
				fmt.Fprintf(&text, "  -> %s      %-7s %d      0          0         \n", printed(r.Address, r.Port), "Tunnel", r.Weight)
			}
		}
		got, err := parseSnapshot([]byte(text.String()), tick)
		if err != nil {
			t.Fatal(err)
		}
		if diff := diffTables(services, got); diff != "" {
			t.Fatalf("%s\n%s", text.String(), diff)
		}
	})
}

func drawService(t *rapid.T) lvs.Service {
	s := lvs.Service{
		Key:         lvs.Key{Protocol: rapid.SampledFrom([]string{"tcp", "udp", "sctp"}).Draw(t, "protocol"), Address: drawAddress(t), Port: rapid.Uint16().Draw(t, "port")},
		Scheduler:   "rr",
		Persistence: time.Duration(rapid.IntRange(0, 100).Draw(t, "persistence")) * time.Second,
	}
	if s.Persistence > 0 {
		s.Netmask = rapid.IntRange(1, s.Address.BitLen()).Draw(t, "netmask")
	}
	for range rapid.IntRange(0, 3).Draw(t, "servers") {
		s.Servers = append(s.Servers, lvs.Server{Address: drawAddress(t), Port: rapid.Uint16().Draw(t, "port"), Forward: config.TUN, Weight: rapid.IntRange(0, 65535).Draw(t, "weight")})
	}
	return s
}

func drawAddress(t *rapid.T) netip.Addr {
	n := rapid.SampledFrom([]int{4, 16}).Draw(t, "bytes")
	a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "address"))
	return a
}

// printed returns an address and a port as the kernel prints them: %08X:%04X or [%pI6]:%04X.
func printed(a netip.Addr, port uint16) string {
	if kernel.FamilyOf(a) == kernel.IPv4 {
		return fmt.Sprintf("%08X:%04X", a.AsSlice(), port)
	}
	return fmt.Sprintf("[%s]:%04X", a.StringExpanded(), port)
}

func TestParseSnapshotErrors(t *testing.T) {
	for text, want := range map[string]string{
		"  -> 0A4D000C:0CEA Masq 0 0 0":               "line 4: a real server before the first virtual server",
		"TCP 0A4D0064:0CEA":                           "line 4: a virtual server of 2 fields",
		"TCP 0A4D0064 wrr":                            `line 4: "0A4D0064" is not an address with a port`,
		"TCP [fd00::1:0CEA wrr persistent":            "line 4: persistence without timeout and netmask",
		"TCP 10.77.0.100:3306 wrr":                    `line 4: "10.77.0.100:3306" is not an address with a port`,
		"TCP 0A4D0064:0CEA rr persistent x FF":        `line 4: persistence "x" "FF"`,
		"FWM x rr":                                    `line 4: mark "x"`,
		"TCP 0A4D0064:0CEA rr\n -> 0A4D0064:1 Route":  "line 5: a real server of 2 fields",
		"TCP 0A4D0064:0CEA rr\n -> A:1 Route one 0 0": `line 5: "one" is not a number`,
		"TCP [1.2.3.4]:0CEA rr":                       `line 4: "[1.2.3.4]:0CEA" is not an address with a port`,
		"TCP [fe80::1%lo]:0CEA rr":                    `line 4: "[fe80::1%lo]:0CEA" is not an address with a port`,
	} {
		if _, err := parseSnapshot([]byte(heading+text), time.Millisecond); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestTick(t *testing.T) {
	got, err := tick()
	if err != nil {
		t.Fatal(err)
	}
	if got < time.Millisecond/2 || got > 11*time.Millisecond { // HZ is from 100 to 1024
		t.Errorf("tick = %v", got)
	}
}

func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(snapshotText))
	f.Add([]byte(heading + "FWM  00000007 rr persistent 2147483647 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		services, err := parseSnapshot(b, 10*time.Millisecond)
		if err != nil {
			return
		}
		for _, s := range services {
			if !s.Address.IsValid() || s.Netmask < 0 || s.Netmask > 128 || s.Persistence < 0 && s.Netmask == 0 {
				t.Errorf("read %+v", s)
			}
		}
		_ = lvs.Rules(lvs.Sorted(services))
	})
}
