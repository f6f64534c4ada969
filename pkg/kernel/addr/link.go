package addr

import (
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Link is a snapshot of a network interface.
type Link = kernel.Link

// Links lists all interfaces in the order of their indexes.
func (h *Handle) Links() ([]Link, error) {
	found, err := dump(h.rt.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	links := make([]Link, 0, len(found))
	for _, l := range found {
		links = append(links, linkOf(l))
	}
	return links, nil
}

// SetUp sets an interface up, as `ip link set IFACE up` does. An interface that is already up is not an error.
func (h *Handle) SetUp(iface string) error {
	link, err := h.find(iface)
	if err == nil {
		err = h.rt.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", iface, translate(err))
	}
	return nil
}

// find looks up an interface by name. The kernel would also accept an alternative name; those are refused, because
// sysctls and events use only the primary one.
func (h *Handle) find(iface string) (netlink.Link, error) {
	if iface == "" || len(iface) >= unix.IFNAMSIZ {
		return nil, kernel.ErrNoInterface
	}
	link, err := h.rt.LinkByName(iface)
	if err != nil {
		return nil, err
	}
	if link.Attrs().Name != iface {
		return nil, kernel.ErrNoInterface
	}
	return link, nil
}

func linkOf(l netlink.Link) Link {
	a := l.Attrs()
	return Link{
		Index:        a.Index,
		Name:         a.Name,
		Alternative:  strings.Join(a.AltNames, " "),
		Up:           a.RawFlags&unix.IFF_UP != 0,
		Carrier:      hasCarrier(a.RawFlags),
		Loopback:     a.RawFlags&unix.IFF_LOOPBACK != 0,
		Kind:         l.Type(),
		MTU:          a.MTU,
		HardwareAddr: a.HardwareAddr.String(),
	}
}

func hasCarrier(flags uint32) bool {
	return flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0
}
