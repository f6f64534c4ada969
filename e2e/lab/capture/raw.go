package capture

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// Send sends one IPv4 packet out of an interface, with any source and TTL. payload follows the IPv4 header. The kernel
// computes the checksum of the IPv4 header; the caller must compute those in the payload.
func Send(h *lab.Host, device string, source, destination netip.Addr, ttl, protocol uint8, payload []byte) {
	h.T().Helper()
	if !source.Is4() || !destination.Is4() {
		h.T().Fatalf("lab: raw packets are IPv4: %s to %s", source, destination)
	}
	packet, dst := ipv4(source, destination, ttl, protocol, payload), destination.As4()
	err := h.InNetwork(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.BindToDevice(fd, device); err != nil {
			return err
		}
		return unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: dst})
	})
	if err != nil {
		h.T().Fatalf("lab: send a raw packet from %s: %v", h.Name, err)
	}
}

// sendMarker sends a marker frame to an address that no host has.
func sendMarker(h *lab.Host, device string, to net.HardwareAddr) error {
	return h.InNetwork(func() error {
		iface, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		if len(iface.HardwareAddr) != 6 {
			return fmt.Errorf("%s has no Ethernet address", device)
		}
		// Protocol 0: this socket only sends; it receives nothing.
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a packet socket: %w", err)
		}
		defer unix.Close(fd)
		frame := make([]byte, 60)
		copy(frame, to)
		copy(frame[6:], iface.HardwareAddr)
		binary.BigEndian.PutUint16(frame[12:], markerType)
		address := &unix.SockaddrLinklayer{Ifindex: iface.Index, Halen: 6, Protocol: htons(markerType)}
		copy(address.Addr[:], to)
		return unix.Sendto(fd, frame, 0, address)
	})
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
