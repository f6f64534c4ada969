package ipvs

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"

	"github.com/lvs-director/lvs-director/pkg/config"
)

var (
	tunnelTypes     = map[string]uint8{config.IPIP: tunnelIPIP, config.GUE: tunnelGUE, config.GRE: tunnelGRE}
	tunnelChecksums = map[string]uint16{config.NoChecksum: tunnelNoChecksum, config.FullChecksum: tunnelChecksum, config.RemoteChecksum: tunnelRemoteChecksum}
)

// encodeTunnel adds a tunnel to a real server. Plain IP in IP is what the kernel takes without these attributes, which
// kernels before 5.3 do not have.
func encodeTunnel(to *nl.RtAttr, t config.Tunnel) {
	if t == (config.Tunnel{}) {
		return
	}
	to.AddRtAttr(destTunnelType, []byte{tunnelTypes[t.Type]})
	to.AddRtAttr(destTunnelPort, nl.BEUint16Attr(t.Port))
	to.AddRtAttr(destTunnelFlags, nl.Uint16Attr(tunnelChecksums[t.Checksum]))
}

// decodeTunnel returns a tunnel, or a description of one that this package does not know.
func decodeTunnel(kind uint8, port, flags uint16) (config.Tunnel, string) {
	t, known := config.Tunnel{Port: port}, 0
	for name, number := range tunnelTypes {
		if number == kind {
			t.Type = name
			known++
		}
	}
	for name, number := range tunnelChecksums {
		if number == flags {
			t.Checksum = name
			known++
		}
	}
	if known != 2 {
		return config.Tunnel{}, fmt.Sprintf("tunnel type %d port %d flags %#x", kind, port, flags)
	}
	return t, ""
}
