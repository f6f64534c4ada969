package maclink

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

var (
	// ErrExists: there is an interface of this name.
	ErrExists = errors.New("another program has added an interface of this name: remove that one (ip link del), or write another virtual_interface")
	// ErrNoKind: the kernel has no such interfaces.
	ErrNoKind = errors.New("the kernel has no interfaces of this kind: load its module (modprobe), or use a kernel that has it")
	// ErrParent: an interface cannot be below another one.
	ErrParent = errors.New("the interface below it cannot have one: it must be an Ethernet interface, bond, bridge or VLAN, and have no macvlan of mode passthru, and no ipvlan beside a macvlan")
)

// Handle is a netlink socket of its own. It belongs to the network namespace of the thread that opened it and may be used
// by several goroutines.
type Handle struct{ rt *netlink.Handle }

// Open opens a handle. The caller closes it.
func Open() (*Handle, error) {
	rt, err := rtnl.Open()
	if err != nil {
		return nil, err
	}
	return &Handle{rt}, nil
}

// Close releases the socket. The handle must not be used afterwards.
func (h *Handle) Close() error {
	h.rt.Close()
	return nil
}

// Add adds an interface, which is down. It is in the VRF of its parent.
//
// Errors: ErrExists, kernel.ErrNoInterface (without the parent), ErrNoKind, ErrParent, kernel.ErrNotPermitted.
func (h *Handle) Add(v kernel.VirtualLink) error {
	if err := h.add(v); err != nil {
		return fmt.Errorf("add the %s %s on %s: %w", v.Kind, v.Name, v.Parent, translate(err))
	}
	return nil
}

func (h *Handle) add(v kernel.VirtualLink) error {
	parent, err := h.rt.LinkByName(v.Parent)
	if err != nil {
		return err
	}
	if kind := parent.Type(); kind == kernel.Macvlan || kind == kernel.IPvlan { // the kernel would put it on the interface below that one
		return ErrParent
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = v.Name, parent.Attrs().Index
	attrs.MasterIndex = h.vrfOf(parent)
	var link netlink.Link = &netlink.IPVlan{LinkAttrs: attrs, Mode: netlink.IPVLAN_MODE_L2}
	if v.Kind == kernel.Macvlan {
		if attrs.HardwareAddr, err = net.ParseMAC(v.HardwareAddr); err != nil {
			return err
		}
		link = &netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}
	}
	return h.rt.LinkAdd(link)
}

// vrfOf returns the index of the VRF of an interface; 0 for none.
func (h *Handle) vrfOf(l netlink.Link) int {
	index := l.Attrs().MasterIndex
	if index == 0 {
		return 0
	}
	if master, err := h.rt.LinkByIndex(index); err != nil || master.Type() != "vrf" {
		return 0
	}
	return index
}

// Remove removes the interface with the index, and reports whether it was there and still has the name and kind of v. One
// that is not there, or is another, is no error.
//
// Errors: kernel.ErrNotPermitted.
func (h *Handle) Remove(v kernel.VirtualLink, index int) (removed bool, err error) {
	link, err := h.rt.LinkByIndex(index)
	if err == nil && (link.Attrs().Name != v.Name || link.Type() != v.Kind) {
		return false, nil
	}
	if err == nil {
		err = h.rt.LinkDel(link)
	}
	if err = translate(err); err != nil && !errors.Is(err, kernel.ErrNoInterface) {
		return false, fmt.Errorf("remove the %s %s: %w", v.Kind, v.Name, err)
	}
	return err == nil, nil
}

// translate maps netlink errors to the errors that callers branch on.
func translate(err error) error {
	switch {
	case errors.Is(err, unix.EEXIST):
		return ErrExists
	case errors.Is(err, unix.EOPNOTSUPP):
		return ErrNoKind
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EBUSY), errors.Is(err, unix.ELOOP):
		return ErrParent
	}
	return rtnl.Translate(err)
}
