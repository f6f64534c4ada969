package ipvs

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The IPVS family of generic netlink: include/uapi/linux/ip_vs.h. moby/ipvs does not export these numbers.
const (
	familyName    = "IPVS" // IPVS_GENL_NAME
	familyVersion = 1      // IPVS_GENL_VERSION
)

// Commands, IPVS_CMD_*.
const (
	cmdNewService = 1
	cmdSetService = 2
	cmdDelService = 3
	cmdGetService = 4
	cmdNewDest    = 5
	cmdSetDest    = 6
	cmdDelDest    = 7
	cmdGetDest    = 8
	cmdGetInfo    = 15
	cmdZero       = 16
)

// Attributes of a command, IPVS_CMD_ATTR_*.
const (
	attrService = 1
	attrDest    = 2
)

// Attributes of a service, IPVS_SVC_ATTR_*.
const (
	svcFamily    = 1
	svcProtocol  = 2
	svcAddress   = 3
	svcPort      = 4
	svcMark      = 5
	svcScheduler = 6
	svcFlags     = 7
	svcTimeout   = 8
	svcNetmask   = 9
	svcStats     = 10
	svcEngine    = 11 // PE_NAME
	svcStats64   = 12 // Linux 4.1
)

// Attributes of a real server, IPVS_DEST_ATTR_*.
const (
	destAddress        = 1
	destPort           = 2
	destForward        = 3
	destWeight         = 4
	destUpperThreshold = 5
	destLowerThreshold = 6
	destActive         = 7
	destInactive       = 8
	destStats          = 10
	destFamily         = 11 // Linux 3.18
	destStats64        = 12 // Linux 4.1
	destTunnelType     = 13 // Linux 5.3, like the next two
	destTunnelPort     = 14
	destTunnelFlags    = 15
)

// Types of tunnels, IP_VS_CONN_F_TUNNEL_TYPE_*, and their flags, IP_VS_TUNNEL_ENCAP_FLAG_*.
const (
	tunnelIPIP = 0
	tunnelGUE  = 1
	tunnelGRE  = 2

	tunnelNoChecksum     = 0
	tunnelChecksum       = 1
	tunnelRemoteChecksum = 2
)

// Attributes of statistics, IPVS_STATS_ATTR_*.
const (
	statsConnections    = 1
	statsPacketsIn      = 2
	statsPacketsOut     = 3
	statsBytesIn        = 4
	statsBytesOut       = 5
	statsConnectionRate = 6
	statsPacketRateIn   = 7
	statsPacketRateOut  = 8
	statsByteRateIn     = 9
	statsByteRateOut    = 10
)

// Attributes of GET_INFO, IPVS_INFO_ATTR_*.
const (
	infoVersion   = 1
	infoTableSize = 2
)

// Flags of a service, IP_VS_SVC_F_*.
const (
	flagPersistent = 0x1
	flagHashed     = 0x2 // set by the kernel on every service in the table
	flagOnePacket  = 0x4
	flagSched1     = 0x8 // the first of three flags of the scheduler
	flagsSched     = 0x38
)

// request is one netlink message without its sequence number.
type request struct {
	family  uint16
	command uint8
	flags   uint16 // in addition to NLM_F_REQUEST
	body    []nl.NetlinkRequestData
}

func (r request) bytes(sequence uint32) []byte {
	message := nl.NetlinkRequest{NlMsghdr: unix.NlMsghdr{
		Type: r.family, Flags: unix.NLM_F_REQUEST | r.flags, Seq: sequence,
	}}
	message.AddData(genericHeader(r.command))
	for _, data := range r.body {
		message.AddData(data)
	}
	return message.Serialize()
}

// genericHeader is a struct genlmsghdr (include/uapi/linux/genetlink.h) with this command. nl.Genlmsg of
// vishvananda/netlink is not used: it lacks the two reserved bytes and sends what follows it in memory instead.
type genericHeader uint8

// Len is in bytes.
func (genericHeader) Len() int { return nl.SizeofGenlmsg }

// Serialize returns command, version and two reserved bytes, which are zero.
func (h genericHeader) Serialize() []byte { return []byte{uint8(h), familyVersion, 0, 0} }

// message is one netlink message from the kernel. Data is valid until the next receive.
type message struct {
	kind     uint16
	flags    uint16
	sequence uint32
	data     []byte
}

// parseMessages splits a datagram into its messages.
func parseMessages(b []byte) ([]message, error) {
	var messages []message
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			return nil, fmt.Errorf("%w: header of %d bytes", errMalformed, len(b))
		}
		length := binary.NativeEndian.Uint32(b)
		if length < unix.SizeofNlMsghdr || uint64(length) > uint64(len(b)) {
			return nil, fmt.Errorf("%w: length %d of %d", errMalformed, length, len(b))
		}
		messages = append(messages, message{
			kind:     binary.NativeEndian.Uint16(b[4:]),
			flags:    binary.NativeEndian.Uint16(b[6:]),
			sequence: binary.NativeEndian.Uint32(b[8:]),
			data:     b[unix.SizeofNlMsghdr:length],
		})
		b = b[min(align(int(length)), len(b)):]
	}
	return messages, nil
}

// errno returns the errno of an NLMSG_ERROR or NLMSG_DONE message; 0 is success, also for an empty NLMSG_DONE.
func (m message) errno() (unix.Errno, error) {
	if len(m.data) == 0 && m.kind == unix.NLMSG_DONE {
		return 0, nil
	}
	if len(m.data) < 4 {
		return 0, fmt.Errorf("%w: error of %d bytes", errMalformed, len(m.data))
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(m.data))), nil
}

// genl is the body of a generic netlink message, after its own header.
func (m message) genl() ([]byte, error) {
	if len(m.data) < unix.GENL_HDRLEN {
		return nil, fmt.Errorf("%w: generic header of %d bytes", errMalformed, len(m.data))
	}
	return m.data[unix.GENL_HDRLEN:], nil
}

// attributeTypes is more than the greatest type of an attribute that is read.
const attributeTypes = 16

// attributes are the netlink attributes of one level, by type; nil for an absent one. The last one of a type counts. It is no
// map, because a complete read of a large table parses thousands of messages.
type attributes [attributeTypes][]byte

func parseAttributes(b []byte) (found attributes, err error) {
	for len(b) >= unix.SizeofNlAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofNlAttr || length > len(b) {
			return attributes{}, fmt.Errorf("%w: attribute length %d of %d", errMalformed, length, len(b))
		}
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		if kind < attributeTypes {
			found[kind] = b[unix.SizeofNlAttr:length]
		}
		b = b[min(align(length), len(b)):]
	}
	return found, nil
}

// The getters return 0 for an attribute that is absent or too short, because older kernels lack some attributes.

func (a *attributes) u8(kind uint16) uint8 {
	if len(a[kind]) < 1 {
		return 0
	}
	return a[kind][0]
}

func (a *attributes) u16(kind uint16) uint16 {
	if len(a[kind]) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(a[kind])
}

func (a *attributes) be16(kind uint16) uint16 {
	if len(a[kind]) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(a[kind])
}

func (a *attributes) u32(kind uint16) uint32 {
	if len(a[kind]) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(a[kind])
}

// number is a u64, or a u32 where an older kernel has that.
func (a *attributes) number(kind uint16) uint64 {
	if len(a[kind]) >= 8 {
		return binary.NativeEndian.Uint64(a[kind])
	}
	return uint64(a.u32(kind))
}

func (a *attributes) text(kind uint16) string { return unix.ByteSliceToString(a[kind]) }

// align rounds up to NLMSG_ALIGNTO, which is NLA_ALIGNTO too.
func align(n int) int { return (n + 3) &^ 3 }
