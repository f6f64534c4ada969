package lab

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Addresses returns the addresses of one interface, or of all interfaces for "", without IPv6 link-local ones. They are
// read over netlink, which costs a guest a hundredth of what starting ip(8) costs.
func (h *Host) Addresses(device string) []netip.Prefix {
	h.n.t.Helper()
	var found []netip.Prefix
	for _, a := range h.addresses() {
		if (device == "" || a.device == device) && !a.prefix.Addr().IsLinkLocalUnicast() {
			found = append(found, a.prefix)
		}
	}
	return found
}

// HasAddress reports whether any interface of the host has the address.
func (h *Host) HasAddress(address string) bool {
	h.n.t.Helper()
	wanted, err := netip.ParseAddr(address)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	for _, have := range h.addresses() {
		if have.prefix.Addr() == wanted {
			return true
		}
	}
	return false
}

// Holders returns the names of the hosts that have the address on an interface other than lo and tunl0 (where real
// servers configure it), in the order given.
func Holders(address string, hosts ...*Host) []string {
	wanted := netip.MustParseAddr(address)
	var names []string
	for _, h := range hosts {
		h.n.t.Helper()
		for _, a := range h.addresses() {
			if a.prefix.Addr() == wanted && a.device != "lo" && a.device != "tunl0" {
				names = append(names, h.Name)
				break
			}
		}
	}
	return names
}

// address is an IP address of a host and the interface it is on.
type address struct {
	device string
	prefix netip.Prefix
}

func (h *Host) addresses() []address {
	h.n.t.Helper()
	var found []address
	read := func() (err error) {
		found, err = readAddresses()
		return err
	}
	err := h.ns.do(read)
	for tries := 1; errors.Is(err, netlink.ErrDumpInterrupted) && tries < 10; tries++ { // the addresses changed during the dump
		err = h.ns.do(read)
	}
	if err != nil {
		h.n.t.Fatalf("lab: addresses of %s: %v", h.Name, err)
	}
	return found
}

func readAddresses() ([]address, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var found []address
	for _, a := range all {
		ip, _ := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		found = append(found, address{names[a.LinkIndex], netip.PrefixFrom(ip.Unmap(), bits)})
	}
	return found, nil
}
