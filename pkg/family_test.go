package pkg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ofOneFamily are the identifiers that test for or assume IPv4.
var ofOneFamily = []string{
	"Is4", "As4", "AddrFrom4", "IPv4Unspecified", "To4", "[4]byte", "IPv4", "AF_INET", "FAMILY_V4", "SockaddrInet4", "Inet4Pktinfo", "PktInfo4",
}

// allowed are the product files that may use them, with the reason. Everywhere else addresses are of either family.
var allowed = map[string]struct {
	words  []string
	reason string
}{
	"pkg/kernel/family.go": {[]string{"Is4", "IPv4Unspecified"}, "tells the families apart for everyone else"},

	"pkg/vrrp/packet.go":   {[]string{"Is4", "As4"}, "the wire form of both families; version 2 has IPv4 only (RFC 3768)"},
	"pkg/vrrp/checksum.go": {[]string{"Is4", "As4"}, "the pseudo-headers of both families differ"},
	"pkg/vrrp/segment.go":  {[]string{"IPv4"}, "each family has its multicast group"},

	"pkg/lvs/rules.go":            {[]string{"IPv4"}, "ipvsadm takes a mask for IPv4 and a prefix length for IPv6"},
	"pkg/kernel/ipvs/encode.go":   {[]string{"IPv4", "AF_INET"}, "the kernel's numbers of both families"},
	"pkg/kernel/ipvs/decode.go":   {[]string{"AF_INET", "AddrFrom4", "[4]byte"}, "the kernel's union of both families"},
	"pkg/kernel/ipvs/snapshot.go": {[]string{"IPv4"}, "/proc does not tell the family of a mark; its first real server does"},

	"pkg/hostrules/hostrules.go": {[]string{"IPv4"}, "IGMP and the connection synchronization are IPv4's; adverts come from a link-local address in IPv6 only"},
	"pkg/ctl/firewall.go":        {[]string{"IPv4"}, "iptables and ip6tables have separate rules"},

	"pkg/config/family.go":      {[]string{"IPv4"}, "the family of an instance none of whose addresses could be read"},
	"pkg/daemon/publisher.go":   {[]string{"Is4"}, "Go opens 0.0.0.0 for both families unless it is told not to"},
	"pkg/config/persistence.go": {[]string{"IPv4"}, "knows a dotted netmask, to say what to write instead"},
	"pkg/director/clients.go":   {[]string{"IPv4"}, "arp_ignore is IPv4's"},
	"pkg/plan/address.go":       {[]string{"IPv4"}, "the order of addresses chooses the source in IPv4 only"},
	"pkg/plan/link.go":          {[]string{"IPv4"}, "adverts come from a link-local address in IPv6 only (RFC 9568)"},

	"pkg/kernel/bfdsock/listener.go": {[]string{"AddrFrom4", "SockaddrInet4"}, "the kernel's socket address of both families"},
	"pkg/kernel/syncsock/socket.go":  {[]string{"AF_INET", "AddrFrom4", "As4", "Is4", "SockaddrInet4"}, "the cluster file refuses a group of IPv6"},
	"pkg/probe/sockaddr.go":          {[]string{"AF_INET", "AddrFrom4", "As4", "Is4", "SockaddrInet4"}, "the kernel's addresses of both families"},

	"pkg/kernel/vrrpsock/wire.go":    {[]string{"IPv4"}, "chooses the wire of a family"},
	"pkg/kernel/vrrpsock/socket4.go": {[]string{"As4", "AF_INET", "IPv4", "Inet4Pktinfo", "PktInfo4", "SockaddrInet4"}, "the wire of IPv4"},
	"pkg/kernel/sockdiag/listen.go": {
		[]string{"AF_INET", "AddrFrom4", "IPv4Unspecified", "[4]byte"}, "the kernel's union of both families; one socket may serve both",
	},
	"pkg/kernel/sockdiag/connection.go": {[]string{"AF_INET", "IPv4"}, "the kernel's numbers of both families; a socket of IPv6 may have a peer of IPv4"},
	"pkg/kernel/firewall/read.go":       {[]string{"IPv4"}, "the kernel's numbers of both families"},
	"pkg/kernel/routing/handle.go":      {[]string{"AF_INET", "IPv4"}, "the kernel's numbers of both families, which have separate tables"},

	"pkg/kernel/vrrpsock/frame.go": {[]string{"As4", "Is4"}, "the headers of each family"},
	"pkg/plan/sysctl.go":           {[]string{"Is4"}, "ARP is IPv4's"},
	"pkg/kernel/neigh/arp.go":      {[]string{"As4"}, "ARP is IPv4's"},
	"pkg/kernel/neigh/listener.go": {[]string{"AddrFrom4", "As4", "[4]byte"}, "ARP is IPv4's"},
	"realserver/state.go":          {[]string{"IPv4"}, "ARP is IPv4's"},
	"realserver/device.go":         {[]string{"IPv4"}, "GRE and GUE with IPv6 are refused"},
}

// Files that assume IPv4 are listed here with the reason, and the list has no unused entries.
func TestOnlyFewFilesAreOfOneFamily(t *testing.T) {
	seen := map[string]map[string]bool{}
	for _, root := range []string{"pkg", "realserver", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join("..", root), func(path string, d fs.DirEntry, err error) error {
			name := d.Name()
			switch {
			case err != nil:
				return err
			case d.IsDir() && (name == "testdata" || strings.HasSuffix(name, "test")): // test helpers
				return filepath.SkipDir
			case !d.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
				file, err := filepath.Rel("..", path)
				if err != nil {
					return err
				}
				seen[filepath.ToSlash(file)] = familyWords(t, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) < 100 {
		t.Fatalf("only %d files were examined", len(seen))
	}
	for _, file := range slices.Sorted(maps.Keys(seen)) {
		for _, word := range slices.Sorted(maps.Keys(seen[file])) {
			if !slices.Contains(allowed[file].words, word) {
				t.Errorf("%s uses %s: support addresses of either family, or add the reason to this test", file, word)
			}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(allowed)) {
		for _, word := range allowed[file].words {
			if !seen[file][word] {
				t.Errorf("%s no longer uses %s: remove it from this test", file, word)
			}
		}
		if allowed[file].reason == "" {
			t.Errorf("%s has no reason", file)
		}
	}
}

// familyWords are the identifiers of ofOneFamily in a file: qualified names, methods and the array type.
func familyWords(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		word := ""
		switch n := n.(type) {
		case *ast.SelectorExpr:
			word = n.Sel.Name
		case *ast.ArrayType:
			size, isNumber := n.Len.(*ast.BasicLit)
			element, isName := n.Elt.(*ast.Ident)
			if isNumber && isName && size.Value == "4" && (element.Name == "byte" || element.Name == "uint8") {
				word = "[4]byte"
			}
		}
		if slices.Contains(ofOneFamily, word) {
			found[word] = true
		}
		return true
	})
	return found
}
