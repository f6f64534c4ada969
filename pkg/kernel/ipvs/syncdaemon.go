package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Commands and attributes of the synchronization daemons, IPVS_CMD_*_DAEMON and IPVS_DAEMON_ATTR_*.
const (
	cmdNewDaemon = 9
	cmdDelDaemon = 10
	cmdGetDaemon = 11

	attrDaemon = 3

	daemonState     = 1
	daemonInterface = 2
	daemonID        = 3
	daemonMaxLen    = 4 // Linux 4.3, like the next ones
	daemonGroup     = 5
	daemonPort      = 7
	daemonTTL       = 8
)

// syncStates are the values of IP_VS_STATE_*.
var syncStates = map[kernel.SyncRole]uint32{kernel.SyncMaster: 1, kernel.SyncBackup: 2}

// Errors of synchronization daemons.
var (
	ErrSyncRuns      = errors.New("there is a synchronization daemon of this role already")
	ErrNoSyncDaemon  = errors.New("there is no synchronization daemon of this role")
	errSyncInterface = errors.New("there is no such interface")
	// errSyncRefused: also if a service has real servers of the other address family (ip_vs_genl_new_daemon).
	errSyncRefused = errors.New("the kernel refuses these settings, or a virtual server has real servers of the other address family, which excludes synchronization")
)

// SyncDaemons starts and stops the synchronization daemons of one network namespace. Only one goroutine at a time may
// use it. The kernel stops a daemon inside the call, which can block it: after a call that exceeds its deadline, the next
// ones return ErrBusy until the kernel has returned from it. The zero value is ready for use.
type SyncDaemons struct {
	stuck <-chan struct{} // closed when the kernel has returned from the last request that exceeded its deadline
}

// List returns the daemons that run, whoever started them.
//
// Errors: ErrNoIPVS, ErrBusy, kernel.ErrNotPermitted.
func (s *SyncDaemons) List(ctx context.Context) ([]kernel.SyncDaemon, error) {
	var all []kernel.SyncDaemon
	err := s.ask(ctx, request{command: cmdGetDaemon, flags: unix.NLM_F_DUMP}, func(body []byte) error {
		d, err := decodeSyncDaemon(body)
		if err == nil && d.Role != "" {
			all = append(all, d)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ipvs: list the synchronization daemons: %w", err)
	}
	return all, nil
}

// Start starts a daemon.
//
// Errors: ErrSyncRuns, ErrNoIPVS, ErrBusy, kernel.ErrNotPermitted.
func (s *SyncDaemons) Start(ctx context.Context, d kernel.SyncDaemon) error {
	err := s.ask(ctx, request{command: cmdNewDaemon, body: []nl.NetlinkRequestData{encodeSyncDaemon(d)}}, nothing)
	switch err {
	case nil:
		return nil
	case unix.EEXIST:
		err = ErrSyncRuns
	case unix.ENODEV:
		err = errSyncInterface
	case unix.EINVAL:
		err = errSyncRefused
	}
	return fmt.Errorf("ipvs: start the %s synchronization daemon on %s: %w", d.Role, d.Interface, err)
}

// Stop stops the daemon of a role, whoever started it. Connections that it has learned stay.
//
// Errors: ErrNoSyncDaemon, ErrNoIPVS, ErrBusy, kernel.ErrNotPermitted.
func (s *SyncDaemons) Stop(ctx context.Context, role kernel.SyncRole) error {
	attr := nl.NewRtAttr(attrDaemon, nil)
	attr.AddRtAttr(daemonState, nl.Uint32Attr(syncStates[role]))
	err := s.ask(ctx, request{command: cmdDelDaemon, body: []nl.NetlinkRequestData{attr}}, nothing)
	if err == unix.ESRCH {
		err = ErrNoSyncDaemon
	}
	if err != nil {
		return fmt.Errorf("ipvs: stop the %s synchronization daemon: %w", role, err)
	}
	return nil
}

func nothing([]byte) error { return nil }

// ask sends one request on a socket of its own.
func (s *SyncDaemons) ask(ctx context.Context, r request, each func(body []byte) error) error {
	if s.stuck != nil {
		select {
		case <-s.stuck:
			s.stuck = nil
		default:
			return ErrBusy
		}
	}
	c, err := dial()
	if err != nil {
		return err
	}
	defer func() { s.stuck = c.close() }()
	if r.family, err = lookup(ctx, c); err != nil {
		return err
	}
	if err = c.ask(ctx, r, each); err == unix.EPERM {
		err = errNotPermitted
	}
	return err
}

func encodeSyncDaemon(d kernel.SyncDaemon) *nl.RtAttr {
	attr := nl.NewRtAttr(attrDaemon, nil)
	attr.AddRtAttr(daemonState, nl.Uint32Attr(syncStates[d.Role]))
	attr.AddRtAttr(daemonInterface, nl.ZeroTerminated(d.Interface))
	attr.AddRtAttr(daemonID, nl.Uint32Attr(uint32(d.ID)))
	attr.AddRtAttr(daemonGroup, d.Group.AsSlice())
	attr.AddRtAttr(daemonPort, nl.Uint16Attr(d.Port))
	attr.AddRtAttr(daemonTTL, []byte{d.TTL})
	if d.MaxLen != 0 {
		attr.AddRtAttr(daemonMaxLen, nl.Uint16Attr(d.MaxLen))
	}
	return attr
}

// decodeSyncDaemon decodes one daemon; its Role is "" if the body has none. A group that is not IPv4 is invalid.
func decodeSyncDaemon(body []byte) (kernel.SyncDaemon, error) {
	outer, err := parseAttributes(body)
	if err != nil {
		return kernel.SyncDaemon{}, err
	}
	attr, err := parseAttributes(outer[attrDaemon])
	if err != nil {
		return kernel.SyncDaemon{}, err
	}
	d := kernel.SyncDaemon{
		Interface: attr.text(daemonInterface), ID: uint8(attr.u32(daemonID)), Port: attr.u16(daemonPort), TTL: attr.u8(daemonTTL),
		MaxLen: attr.u16(daemonMaxLen),
	}
	d.Group, _ = netip.AddrFromSlice(attr[daemonGroup])
	for role, state := range syncStates {
		if attr.u32(daemonState) == state {
			d.Role = role
		}
	}
	return d, nil
}
