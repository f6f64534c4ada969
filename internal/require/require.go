package require

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Variable is the environment variable that names the required parts.
const Variable = "LVS_REQUIRE"

// All is the value of Variable that requires every part.
const All = "all"

// A Part is something that a test needs in addition to Go and a Linux kernel. Its value is its name in LVS_REQUIRE.
type Part string

// The parts that tests need.
const (
	Netns     Part = "netns"     // root, to create network namespaces
	OwnKernel Part = "ownkernel" // a kernel that a test may break: that of a guest
	Guest     Part = "guest"     // the packages and rights to boot a guest

	IPVS        Part = "ipvs"        // the module ip_vs
	IPIP        Part = "ipip"        // the module ipip with its interface tunl0
	Netem       Part = "netem"       // the module sch_netem
	NFTables    Part = "nftables"    // nft(8), and nftables for the families ip, ip6, inet and arp
	SockDestroy Part = "sockdestroy" // SOCK_DESTROY of sock_diag(7)
	StockKernel Part = "stockkernel" // a stock kernel, not user-mode-linux

	FRR           Part = "frr"           // zebra(8) and bfdd(8) of FRRouting
	Macvlan       Part = "macvlan"       // the module macvlan
	IPvlan        Part = "ipvlan"        // the module ipvlan
	VLAN          Part = "vlan"          // the module 8021q
	ProcessEvents Part = "processevents" // the process connector, in the first network namespace

	Iptables   Part = "iptables"   // iptables-legacy(8)
	Keepalived Part = "keepalived" // keepalived(8)
	MariaDB    Part = "mariadb"    // mariadbd(8)
	Peers      Part = "peers"      // nginx(8), redis-server(1) and dnsmasq(8)
	Systemd    Part = "systemd"    // systemd(1), to run as process 1 of a host
)

func parts() []Part {
	return []Part{
		Netns, OwnKernel, Guest, IPVS, IPIP, Netem, NFTables, SockDestroy, StockKernel, Macvlan, IPvlan, VLAN, ProcessEvents, FRR, Iptables, Keepalived, MariaDB, Peers, Systemd,
	}
}

// Skip ends a test because a part is missing: the test is skipped, or fails if LVS_REQUIRE names the part. The format
// and args say what is missing.
func Skip(t testing.TB, p Part, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	required, err := required(os.Getenv(Variable), p)
	switch {
	case err != nil:
		t.Fatal(err)
	case required:
		t.Fatalf("%s is required (%s=%s): %s", p, Variable, os.Getenv(Variable), reason)
	default:
		t.Skipf("no %s here: %s", p, reason)
	}
}

// Required reports whether LVS_REQUIRE names the part. A test that can fetch what it needs must only do so if it is
// required.
func Required(t testing.TB, p Part) bool {
	t.Helper()
	required, err := required(os.Getenv(Variable), p)
	if err != nil {
		t.Fatal(err)
	}
	return required
}

// Root skips a test that creates network namespaces, unless it runs as root; see Skip.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, Netns, "creating network namespaces needs root")
	}
}

// Spoilable skips a test that would break a machine's kernel, unless it runs in a guest; see Skip. action is what the
// test does, like "unloads ip_vs".
func Spoilable(t testing.TB, action string) {
	t.Helper()
	if os.Getenv("LVS_LAB_INSIDE") != "guest" {
		Skip(t, OwnKernel, "%s: run it in a guest, with labrun", action)
	}
}

// required parses the value of LVS_REQUIRE. An unknown part is an error, because with a typo tests would be skipped
// silently.
func required(value string, p Part) (bool, error) {
	if value == "" {
		return false, nil
	}
	if value == All {
		return true, nil
	}
	found := false
	for word := range strings.SplitSeq(value, ",") {
		if !slices.Contains(parts(), Part(word)) {
			return false, fmt.Errorf("%s=%s: unknown part %q: use some of %v, or %s", Variable, value, word, parts(), All)
		}
		found = found || Part(word) == p
	}
	return found, nil
}
