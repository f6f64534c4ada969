package addr

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

// Link is a snapshot of a network interface.
type Link = kernel.Link

// Links lists all interfaces in the order of their indexes.
func (h *Handle) Links() ([]Link, error) {
	found, err := rtnl.Dump(h.rt.LinkList)
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
		return fmt.Errorf("set %s up: %w", iface, rtnl.Translate(err))
	}
	return nil
}

// find looks up the index of an interface by name. The kernel would also accept an alternative name; those are refused,
// because sysctls and events use only the primary one. Each renewal of a lease needs it: these requests (netdevice(7)) wait
// for no lock, unlike RTM_GETLINK, whose long answer would be most of the garbage of a MASTER with many VIPs.
func (h *Handle) find(iface string) (netlink.Link, error) {
	request, err := unix.NewIfreq(iface)
	if iface == "" || err != nil {
		return nil, kernel.ErrNoInterface
	}
	if err := unix.IoctlIfreq(h.fd, unix.SIOCGIFINDEX, request); err != nil {
		return nil, os.NewSyscallError("ioctl SIOCGIFINDEX", err)
	}
	index := request.Uint32()
	if err := unix.IoctlIfreq(h.fd, unix.SIOCGIFNAME, request); err != nil {
		return nil, os.NewSyscallError("ioctl SIOCGIFNAME", err)
	}
	if request.Name() != iface {
		return nil, kernel.ErrNoInterface
	}
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: int(index), Name: iface}}, nil
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
		Parent:       parentOf(a),
		HardwareAddr: a.HardwareAddr.String(),
	}
}

// parentOf returns the index of the interface below. That of a veth is its peer, and one in another network namespace has
// an index that says nothing here.
func parentOf(a *netlink.LinkAttrs) int {
	if a.NetNsID >= 0 {
		return 0
	}
	return a.ParentIndex
}

func hasCarrier(flags uint32) bool {
	return flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0
}

// SetDown sets an interface down, as `ip link set IFACE down` does. One that is down or absent is not an error.
func (h *Handle) SetDown(iface string) error {
	link, err := h.find(iface)
	if err == nil {
		err = h.rt.LinkSetDown(link)
	}
	if err = rtnl.Translate(err); err != nil && !errors.Is(err, kernel.ErrNoInterface) {
		return fmt.Errorf("set %s down: %w", iface, err)
	}
	return nil
}
