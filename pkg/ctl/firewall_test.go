package ctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParseNetworks: networks within others are left out.
func TestParseNetworks(t *testing.T) {
	got, err := parseNetworks([]string{"10.1.2.3", "10.1.0.0/16", "10.1.4.0/24", "10.2.0.0/16", "2001:db8::/32", "10.1.0.0/16", "10.3.0.1/32"})
	if err != nil || fmt.Sprint(got) != "[10.1.0.0/16 10.2.0.0/16 2001:db8::/32 10.3.0.1/32]" {
		t.Errorf("%v, %v", got, err)
	}
}

// TestFirewall: the forms of the rules, and wrong use.
func TestFirewall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args        string
		code        int
		out, errors string // parts
	}{
		{"FILE --node lvs-master", 0, "table inet lvs_firewall\ndelete table inet lvs_firewall\n", ""},
		{"FILE --node lvs-master --for iptables", 0, ":LVS-INPUT - [0:0]\n", ""},
		{"FILE --node lvs-master --for ip6tables", 0, "# Install: ip6tables-restore --noflush THIS_FILE.", ""},
		{"FILE --node lvs-master --clients 10.20.0.0/16,10.30.0.1 -o json", 0, `"why": "adverts of the other directors",
      "hook": "input",
      "family": 4,
      "from": [
        "10.77.0.3/32"
      ],
      "protocol": 112`, ""},
		{"FILE --node nobody", 2, "", `lvsctl: ` + file + ` names no director "nobody"`},
		{"FILE --node lvs-master --for pf", 2, "", "lvsctl: --for pf: must be nft, iptables or ip6tables\n"},
		{"FILE --node lvs-master --clients eth0", 2, "", "lvsctl: --clients eth0: want a network such as 10.0.0.0/8\n"},
		{"/nonexistent/f", 2, "", "lvsctl: cluster file: open /nonexistent/f: "},
		{"", 2, "", "lvsctl: want one argument: the cluster file, or - for standard input\n"},
	} {
		code, out, errors := lvsctl(t, append([]string{"firewall"}, strings.Fields(strings.ReplaceAll(tt.args, "FILE", file))...)...)
		if code != tt.code || !strings.Contains(out, tt.out) || (tt.out == "") != (out == "") || !strings.HasPrefix(errors, tt.errors) || (tt.errors == "") != (errors == "") {
			t.Errorf("%s: exit %d\n%s%s\nwant %d, %q, %q", tt.args, code, out, errors, tt.code, tt.out, tt.errors)
		}
	}
}
