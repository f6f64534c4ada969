package lab

import (
	"crypto/ecdh"
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// wireGuardPort is the UDP port of both ends of a tunnel.
const wireGuardPort = 51820

// WireGuard makes an interface on the host that is up and has a tunnel to another host, with the addresses under the tunnel.
// The other host needs the same with own and other exchanged.
func WireGuard(h *Host, device string, own, other netip.Addr) {
	h.n.t.Helper()
	h.Run("modprobe", "wireguard")
	h.Run("ip", "link", "add", device, "type", "wireguard")
	private, err := wireGuardKey(own)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	peer, err := wireGuardKey(other)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	if err := h.InNetwork(func() error { return configureWireGuard(device, private, peer.PublicKey(), other) }); err != nil {
		h.n.t.Fatalf("lab: configure %s of %s: %v", device, h.Name, err)
	}
	h.Run("ip", "link", "set", device, "up")
}

// wireGuardKey returns the private key of the host with an address.
func wireGuardKey(a netip.Addr) (*ecdh.PrivateKey, error) {
	var seed [32]byte
	copy(seed[:], a.AsSlice())
	return ecdh.X25519().NewPrivateKey(seed[:])
}

// Numbers of include/uapi/linux/wireguard.h.
const (
	wgSetDevice      = 1
	wgDeviceName     = 2
	wgDevicePrivate  = 3
	wgDevicePort     = 6
	wgDevicePeers    = 8
	wgPeerPublic     = 1
	wgPeerEndpoint   = 4
	wgPeerAllowed    = 9
	wgAllowedFamily  = 1
	wgAllowedAddress = 2
	wgAllowedBits    = 3
)

// configureWireGuard does what wg(8) does, which the lab does not have.
func configureWireGuard(device string, private *ecdh.PrivateKey, peer *ecdh.PublicKey, endpoint netip.Addr) error {
	family, err := netlink.GenlFamilyGet("wireguard")
	if err != nil {
		return err
	}
	request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	request.AddData(&nl.Genlmsg{Command: wgSetDevice, Version: 1})
	request.AddData(nl.NewRtAttr(wgDeviceName, nl.ZeroTerminated(device)))
	request.AddData(nl.NewRtAttr(wgDevicePrivate, private.Bytes()))
	request.AddData(nl.NewRtAttr(wgDevicePort, nl.Uint16Attr(wireGuardPort)))
	peers := nl.NewRtAttr(wgDevicePeers|unix.NLA_F_NESTED, nil)
	one := peers.AddRtAttr(unix.NLA_F_NESTED, nil)
	one.AddRtAttr(wgPeerPublic, peer.Bytes())
	one.AddRtAttr(wgPeerEndpoint, socketAddress(netip.AddrPortFrom(endpoint, wireGuardPort)))
	all := one.AddRtAttr(wgPeerAllowed|unix.NLA_F_NESTED, nil).AddRtAttr(unix.NLA_F_NESTED, nil)
	all.AddRtAttr(wgAllowedFamily, nl.Uint16Attr(unix.AF_INET))
	all.AddRtAttr(wgAllowedAddress, make([]byte, 4))
	all.AddRtAttr(wgAllowedBits, nl.Uint8Attr(0))
	request.AddData(peers)
	_, err = request.Execute(unix.NETLINK_GENERIC, 0)
	return err
}

// socketAddress returns a struct sockaddr_in.
func socketAddress(a netip.AddrPort) []byte {
	b := nl.Uint16Attr(unix.AF_INET)
	b = binary.BigEndian.AppendUint16(b, a.Port())
	return append(append(b, a.Addr().AsSlice()...), make([]byte, 8)...)
}
