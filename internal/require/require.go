package require

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Variable is the environment variable that names what must not be missing.
const Variable = "LVS_REQUIRE"

// All is the value of Variable that requires every part.
const All = "all"

// A Part is something that a test needs beside Go and a Linux kernel. Its text is its name in LVS_REQUIRE.
type Part string

// The parts that tests need.
const (
	Netns     Part = "netns"     // root, who may make network namespaces
	OwnKernel Part = "ownkernel" // a kernel that a test may spoil: that of a guest
	Guest     Part = "guest"     // the packages and rights to boot a guest from here

	IPVS        Part = "ipvs"        // the module ip_vs
	IPIP        Part = "ipip"        // the module ipip, and tunl0 with it
	Netem       Part = "netem"       // the module sch_netem
	NFTables    Part = "nftables"    // nft(8), and nftables of the families ip, ip6, inet and arp
	SockDestroy Part = "sockdestroy" // SOCK_DESTROY of sock_diag(7)
	StockKernel Part = "stockkernel" // a kernel for machines, not user-mode-linux

	Iptables   Part = "iptables"   // iptables-legacy(8)
	Keepalived Part = "keepalived" // keepalived(8)
	MariaDB    Part = "mariadb"    // mariadbd(8)
	Systemd    Part = "systemd"    // systemd(1), to be the first process of a host
)

func parts() []Part {
	return []Part{
		Netns, OwnKernel, Guest, IPVS, IPIP, Netem, NFTables, SockDestroy, StockKernel, Iptables, Keepalived, MariaDB, Systemd,
	}
}

// Skip ends a test for want of a part: it is skipped, or fails where LVS_REQUIRE names the part. The format says what
// was looked for.
func Skip(t testing.TB, p Part, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	required, err := required(os.Getenv(Variable), p)
	switch {
	case err != nil:
		t.Fatal(err)
	case required:
		t.Fatalf("%s is required (%s=%s): %s", p, Variable, os.Getenv(Variable), why)
	default:
		t.Skipf("no %s here: %s", p, why)
	}
}

// Required reports whether LVS_REQUIRE names the part. A test that can fetch what it needs does so only then.
func Required(t testing.TB, p Part) bool {
	t.Helper()
	required, err := required(os.Getenv(Variable), p)
	if err != nil {
		t.Fatal(err)
	}
	return required
}

// Root is for tests that make network namespaces of their own: only root may.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, Netns, "network namespaces are made by root")
	}
}

// Spoilable is for tests that do to the kernel what must not happen to that of a machine. why is what they do.
func Spoilable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("LVS_LAB_INSIDE") != "guest" {
		Skip(t, OwnKernel, "%s: run it in a guest, with labrun", why)
	}
}

// required reads the value of LVS_REQUIRE. A part that does not exist is an error: a mistyped one would let tests skip.
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
			return false, fmt.Errorf("%s=%s: there is no part %q: name some of %v, or %s", Variable, value, word, parts(), All)
		}
		found = found || Part(word) == p
	}
	return found, nil
}
