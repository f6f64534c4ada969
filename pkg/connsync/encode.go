package connsync

import (
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/syncmsg"
)

// Entry returns an established connection as it is sent, or the persistence of a client, which lasts as long again as persistence
// says. The timeout of a connection is left to the receiver. Other protocols than TCP, UDP and SCTP are not sent: false.
func Entry(c lvs.Connection, forward config.Forward, persistence time.Duration) (syncmsg.Connection, bool) {
	e := syncmsg.Connection{Client: c.Client, Virtual: c.Virtual, Server: c.Server}
	switch c.Protocol {
	case "tcp":
		e.Protocol, e.State = syncmsg.TCP, syncmsg.StateEstablished
	case "udp":
		e.Protocol, e.Flags = syncmsg.UDP, syncmsg.FlagInactive
	case "sctp":
		e.Protocol, e.State = syncmsg.SCTP, syncmsg.StateSCTPEstablished
	default:
		return e, false
	}
	if c.Template() {
		e.State, e.Flags, e.Timeout = syncmsg.StateAssured, syncmsg.FlagTemplate|syncmsg.FlagInactive, persistence
	}
	switch forward {
	case config.DR:
		e.Flags |= syncmsg.ForwardDR | syncmsg.FlagNoOutput
	case config.TUN:
		e.Flags |= syncmsg.ForwardTUN | syncmsg.FlagNoOutput
	}
	return e, c.Client.Addr().BitLen() == c.Virtual.Addr().BitLen() && c.Client.Addr().BitLen() == c.Server.Addr().BitLen()
}

// Messages packs connections into datagrams of at most size bytes, which must be enough for one.
func Messages(id uint8, all []syncmsg.Connection, size int) (datagrams [][]byte, err error) {
	m := syncmsg.Message{ID: id}
	used := syncmsg.HeaderSize
	flush := func() {
		if len(m.Connections) == 0 {
			return
		}
		b, failed := m.Append(nil)
		if failed != nil {
			err = failed
		} else {
			datagrams = append(datagrams, b)
		}
		m.Connections, used = nil, syncmsg.HeaderSize
	}
	for _, c := range all {
		if used+c.Size() > size || len(m.Connections) == syncmsg.MaxConnections {
			flush()
		}
		m.Connections = append(m.Connections, c)
		used += c.Size()
	}
	flush()
	return datagrams, err
}
