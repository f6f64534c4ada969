package ctl

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestKernel: lvsctl status names what the kernel lacks, and what is not known of it.
func TestKernel(t *testing.T) {
	k := &status.Kernel{Release: "6.1.0-44-amd64", Features: []status.KernelFeature{
		{Name: "ipvs", Has: "present", Why: "version 1.2.1, connection table of 4096 buckets"},
		{Name: "ipvs_ipv6", Has: "present", Why: "asked"},
		{Name: "ipvs_sctp", Has: "unknown", Why: "no file"},
		{Name: "scheduler_twos", Has: "absent", Why: "no module"},
		{Name: "ipvs_connection_limit", Has: "absent", Why: "no file"},
	}}
	for _, tt := range []struct {
		kernel *status.Kernel
		want   string
	}{
		{nil, ""},
		{k, "\nKERNEL 6.1.0-44-amd64  IPVS: version 1.2.1, connection table of 4096 buckets\n  does not have: scheduler_twos, ipvs_connection_limit\n  not known: ipvs_sctp\n"},
		{&status.Kernel{Release: "6.1.0", Features: k.Features[:2]}, "\nKERNEL 6.1.0  IPVS: version 1.2.1, connection table of 4096 buckets\n"},
	} {
		var b strings.Builder
		if printKernel(&b, tt.kernel); b.String() != tt.want {
			t.Errorf("got %q, want %q", b.String(), tt.want)
		}
	}
}
