package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// TestDontTrackPrimary: a lost carrier is no fault for an instance with dont_track_primary, from the start on, and is shown. One
// without an address for its adverts, or whose interface is set down or missing, is in FAULT.
func TestDontTrackPrimary(t *testing.T) {
	for _, tt := range []struct {
		name, state      string
		untracked        bool
		addressed        bool
		demanded         string // multicast_source
		fault, untracks  string // a part of each
		sourceAtTheStart bool
	}{
		{"works", "works", true, true, "", "", "", true},
		{"tracked", "no carrier", false, true, "", "eth0 has no carrier", "", true},
		{"untracked", "no carrier", true, true, "", "", "the interface eth0 has no carrier: check its cable and switch port; that is no fault (dont_track_primary)", true},
		{"no address", "no carrier", true, false, "", "eth0 has no carrier: check its cable and switch port; it has no address for adverts either", "", false},
		{"its source elsewhere", "no carrier", true, false, "10.79.0.2", "", "that is no fault", true},
		{"no source", "no carrier", true, true, "10.79.0.9", "it has no address for adverts either", "", true},
		{"tracked, its source elsewhere", "no carrier", false, false, "10.79.0.2", "eth0 has no carrier", "", true},
		{"down", "down", true, true, "", "the interface eth0 is down", "", false},
		{"missing", "missing", true, true, "", "the interface eth0 does not exist", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, with := flapping(0, 0)
			in.Config.Instances[0].DontTrackPrimary = tt.untracked
			if tt.demanded != "" {
				in.Config.Instances[0].Transport.MulticastSource = netip.MustParseAddr(tt.demanded)
			}
			in.Links = with(tt.state)
			var addresses []kernel.Address
			for _, a := range in.Addresses {
				if tt.addressed || a.Interface != "eth0" {
					addresses = append(addresses, a)
				}
			}
			in.Addresses = append(addresses, kernel.Address{Interface: "eth1", Prefix: netip.MustParsePrefix("10.79.0.2/24"), Global: true})
			p := Of(in)
			for what, i := range map[string]Instance{"": p.Instances[0], "judged anew: ": p.Judged(in).Instances[0]} {
				if (i.Fault() == "") != (tt.fault == "") || !strings.Contains(i.Fault(), tt.fault) {
					t.Errorf("%sfault %q, want %q", what, i.Fault(), tt.fault)
				}
				if (i.Untracked == "") != (tt.untracks == "") || !strings.Contains(i.Untracked, tt.untracks) {
					t.Errorf("%snot counted: %q, want %q", what, i.Untracked, tt.untracks)
				}
				if i.Gate != "" || i.Unsteady != "" || i.Params.Source.IsValid() != tt.sourceAtTheStart {
					t.Errorf("%sgate %q, unsteady %q, source %s", what, i.Gate, i.Unsteady, i.Params.Source)
				}
			}
		})
	}
}
