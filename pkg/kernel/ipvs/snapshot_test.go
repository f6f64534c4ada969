package ipvs

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
-A -f 7 -s rr
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

func TestParseSnapshotErrors(t *testing.T) {
	for text, want := range map[string]string{
		"  -> 0A4D000C:0CEA Masq 0 0 0":               "line 4: a real server before the first virtual server",
		"TCP 0A4D0064:0CEA":                           "line 4: a virtual server of 2 fields",
		"TCP 0A4D0064 wrr":                            `line 4: "0A4D0064" is no address with port`,
		"TCP [fd00::1:0CEA wrr persistent":            "line 4: persistence without timeout and netmask",
		"TCP 10.77.0.100:3306 wrr":                    `line 4: "10.77.0.100:3306" is no address with port`,
		"TCP 0A4D0064:0CEA rr persistent x FF":        `line 4: persistence "x" "FF"`,
		"FWM x rr":                                    `line 4: mark "x"`,
		"TCP 0A4D0064:0CEA rr\n -> 0A4D0064:1 Route":  "line 5: a real server of 2 fields",
		"TCP 0A4D0064:0CEA rr\n -> A:1 Route one 0 0": `line 5: "one" is no number`,
		"TCP [1.2.3.4]:0CEA rr":                       `line 4: "[1.2.3.4]:0CEA" is no address with port`,
		"TCP [fe80::1%lo]:0CEA rr":                    `line 4: "[fe80::1%lo]:0CEA" is no address with port`,
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
