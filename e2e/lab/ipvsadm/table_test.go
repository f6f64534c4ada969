package ipvsadm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.77.0.100:3306 wrr persistent 50 mask 255.255.255.0
  -> 10.77.0.11:3306              Route   3      2          5
  -> 10.77.0.12:3306              Masq    0      0          0
FWM  7 rr
`

func TestParseTable(t *testing.T) {
	got, err := parseTable(table)
	if err != nil {
		t.Fatal(err)
	}
	want := Table{Text: table, Services: []Service{
		{
			Protocol: "TCP", Address: "10.77.0.100:3306", Scheduler: "wrr", Persistent: 50, Flags: "mask 255.255.255.0",
			Servers: []Server{
				{Address: "10.77.0.11:3306", Forward: "Route", Weight: 3, Active: 2, Inactive: 5},
				{Address: "10.77.0.12:3306", Forward: "Masq"},
			},
		},
		{Protocol: "FWM", Address: "7", Scheduler: "rr"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"TCP 10.77.0.100:3306", "  -> 10.77.0.11:3306 Route 1 0 0", "TCP a b\n -> c Route x 0 0", "TCP a b persistent x"} {
		if _, err := parseTable(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}
