package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// Addresses are the addresses of one interface, or of all of them for "", as
// `ip -o addr` shows them, IPv6 link-local ones left out.
func (h *Host) Addresses(device string) []netip.Prefix {
	h.n.t.Helper()
	argv := []string{"ip", "-o", "addr", "show"}
	if device != "" {
		argv = append(argv, "dev", device)
	}
	addresses, err := parseAddresses(h.Run(argv...))
	if err != nil {
		h.n.t.Fatalf("lab: addresses of %s: %v", h.Name, err)
	}
	return addresses
}

// HasAddress says whether any interface of the host has the address.
func (h *Host) HasAddress(address string) bool {
	h.n.t.Helper()
	wanted, err := netip.ParseAddr(address)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	for _, have := range h.Addresses("") {
		if have.Addr() == wanted {
			return true
		}
	}
	return false
}

// Holders are the names of the hosts that have the address on an interface
// other than lo and tunl0 (where real servers keep it), in the order given.
func Holders(address string, hosts ...*Host) []string {
	var names []string
	for _, h := range hosts {
		h.n.t.Helper()
		for _, line := range strings.Split(h.Run("ip", "-o", "addr", "show", "to", address), "\n") {
			words := strings.Fields(line)
			if len(words) > 1 && words[1] != "lo" && words[1] != "tunl0" {
				names = append(names, h.Name)
				break
			}
		}
	}
	return names
}

// parseAddresses reads lines like
// "2: eth0    inet 10.77.0.2/24 scope global eth0\       valid_lft forever …".
func parseAddresses(text string) ([]netip.Prefix, error) {
	var found []netip.Prefix
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 4 || (words[2] != "inet" && words[2] != "inet6") {
			continue
		}
		word := words[3]
		if !strings.Contains(word, "/") {
			word += "/32" // a point-to-point address: "inet 10.0.0.1 peer 10.0.0.2/32"
		}
		prefix, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", line, err)
		}
		if !prefix.Addr().IsLinkLocalUnicast() {
			found = append(found, prefix)
		}
	}
	return found, nil
}
