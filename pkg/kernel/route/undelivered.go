package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// Undelivered returns the addresses whose packets the kernel does not deliver on this machine. It does not if the address is
// not configured, if its route in the table local is gone, or if a policy rule comes before that table. The interface is the
// one that has the address, whose VRF counts; "": any. An address whose interface does not exist is left out. After another
// error the remaining addresses are not looked up, so that a kernel that does not answer delays the caller only once.
func Undelivered(all []kernel.IfAddr) (some []kernel.IfAddr, err error) {
	h, err := rtnl.Open()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	indexes := map[string]int{"": 0} // of interfaces; hundreds of addresses may be on one
	for _, at := range all {
		index, known := indexes[at.Interface]
		if !known {
			if index, err = indexOf(h, at.Interface); err != nil {
				return some, err
			}
			indexes[at.Interface] = index
		}
		if index == missing {
			continue
		}
		local, err := delivered(h, at, index)
		if err != nil {
			return some, err
		}
		if !local {
			some = append(some, at)
		}
	}
	return some, nil
}

// Local reports whether the kernel delivers packets to an address on this machine: see Undelivered.
func Local(a netip.Addr) (bool, error) {
	no, err := Undelivered([]kernel.IfAddr{{Prefix: netip.PrefixFrom(a, a.BitLen())}})
	return err == nil && len(no) == 0, err
}

// missing is the index of an interface that does not exist.
const missing = -1

func indexOf(h *netlink.Handle, iface string) (int, error) {
	link, err := h.LinkByName(iface)
	var notFound netlink.LinkNotFoundError
	switch {
	case errors.As(err, &notFound):
		return missing, nil
	case err != nil:
		return 0, fmt.Errorf("the interface %s: %w", iface, err)
	}
	return link.Attrs().Index, nil
}

func delivered(h *netlink.Handle, at kernel.IfAddr, index int) (bool, error) {
	found, err := h.RouteGetWithOptions(net.IP(at.Prefix.Addr().AsSlice()), &netlink.RouteGetOptions{OifIndex: index})
	for _, no := range []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EINVAL, unix.EACCES} { // EINVAL: blackhole, EACCES: prohibit
		if errors.Is(err, no) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("route to %s: %w", at.Prefix.Addr(), err)
	}
	return len(found) > 0 && found[0].Type == unix.RTN_LOCAL, nil
}
