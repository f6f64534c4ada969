package firewall

import (
	"fmt"
	"testing"
)

// TestMarks: rules of iptables and of nft that give a packet a mark, may do so, or do not.
func TestMarks(t *testing.T) {
	chain := func(name string, rules ...string) string {
		text := "*mangle\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:sub - [0:0]\n"
		for _, r := range rules {
			text += "-A " + name + " " + r + "\n"
		}
		return text + "COMMIT\n"
	}
	nft := func(hook, value string) string {
		return fmt.Sprintf(`{"nftables": [{"chain": {"family": "inet", "table": "m", "name": "c", "type": "filter", "hook": %q, "prio": -150, "policy": "accept"}},
			{"rule": {"family": "inet", "table": "m", "chain": "c", "expr": [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": %s}}]}}]}`, hook, value)
	}
	for _, c := range []struct {
		save, nft string
		want      Outcome
	}{
		{chain("PREROUTING", "-d 10.77.0.100/32 -p tcp -j MARK --set-xmark 0x5/0xffffffff"), "", Passes},
		{chain("INPUT", "-j MARK --set-xmark 0x5/0xffffffff"), "", Passes},
		{chain("PREROUTING", "-j sub", "-j ACCEPT"), "", Blocked},
		{chain("OUTPUT", "-j MARK --set-xmark 0x5/0xffffffff"), "", Blocked},
		{chain("sub", "-j MARK --set-xmark 0x5/0xffffffff"), "", Blocked}, // which nothing reaches
		{chain("PREROUTING", "-j MARK --set-xmark 0x6/0xffffffff"), "", Blocked},
		{chain("PREROUTING", "-j MARK --set-xmark 0x5/0xff"), "", Unclear},
		{chain("PREROUTING", "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff"), "", Unclear},
		{chain("PREROUTING", "-j CONNMARK --save-mark"), "", Blocked},
		{chain("PREROUTING", "-j SET --map-set marks dst,dst --map-mark"), "", Unclear},
		{chain("PREROUTING", "-j SET --add-set seen src"), "", Blocked},
		{chain("PREROUTING", "-j NEWTARGET --option"), "", Unclear},
		{chain("PREROUTING", "-j NEWTARGET", "-j MARK --set-xmark 0x5/0xffffffff"), "", Passes},
		{"", nft("prerouting", "5"), Passes},
		{"", nft("input", "5"), Passes},
		{"", nft("input", "6"), Blocked},
		{"", nft("output", "5"), Blocked},
		{"", nft("prerouting", `{"map": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": "@m"}}`), Unclear},
		{"", "", Blocked},
	} {
		var r Rules
		if c.save != "" {
			bases, _, err := parseSave("iptables", c.save)
			if err != nil {
				t.Fatal(err)
			}
			r.Bases = append(r.Bases, bases...)
		}
		if c.nft != "" {
			bases, err := parseNFT([]byte(c.nft), "ip", func(string, string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			r.Bases = append(r.Bases, bases...)
		}
		if got := r.Marks(5); got.Outcome != c.want || (got.Why == "") != (c.want == Passes) {
			t.Errorf("%s%s: %d %q, want %d", c.save, c.nft, got.Outcome, got.Why, c.want)
		}
	}
}

// TestMarksBySubchain: a chain that a rule jumps to counts.
func TestMarksBySubchain(t *testing.T) {
	bases, _, err := parseSave("iptables", "*mangle\n:PREROUTING ACCEPT [0:0]\n:sub - [0:0]\n-A PREROUTING -j sub\n-A sub -j MARK --set-xmark 0x5/0xffffffff\nCOMMIT\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := (Rules{Bases: bases}).Marks(5); got.Outcome != Passes {
		t.Errorf("%d %q", got.Outcome, got.Why)
	}
}
