package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Support is what the kernel's IPVS has, as far as it can be asked without a change of anything.
type Support struct {
	Info
	IPv6 kernel.Presence // CONFIG_IP_VS_IPV6
	// An entry of the table shows these two, and a synchronization daemon the third; Unknown while there is none.
	Stats64     kernel.Presence // statistics in 64 bits
	Tunnels     kernel.Presence // types of tunnels besides IP in IP
	SyncOptions kernel.Presence // length, group, port and TTL of the messages of synchronization
}

// sampled limits the services of which a real server is looked for.
const sampled = 8

// Ask returns what the kernel has. With an error, what could be asked is known all the same; without a Version it is one of
// Probe.
func Ask(ctx context.Context) (Support, error) {
	s := Support{IPv6: kernel.Unknown, Stats64: kernel.Unknown, Tunnels: kernel.Unknown, SyncOptions: kernel.Unknown}
	var err, failed error
	if s.Info, err = Probe(ctx); err != nil {
		return s, err
	}
	for _, ask := range []func(context.Context, *Table) error{s.askIPv6, s.askEntries, s.askSync} {
		t := &Table{}
		if err = t.open(ctx); err == nil {
			err = ask(ctx, t)
		}
		_ = t.keep(err) // its socket may have answers that nobody reads
		if err := errors.Join(err, t.Close()); err != nil {
			failed = errors.Join(failed, fmt.Errorf("ipvs: ask what it has: %w", err))
		}
	}
	return s, failed
}

// askIPv6 asks for a service that nobody has. A kernel without IPv6 refuses the question (ip_vs_genl_parse_service).
func (s *Support) askIPv6(ctx context.Context, t *Table) error {
	never := toService(lvs.Service{Key: lvs.Key{Protocol: "udp", Address: netip.MustParseAddr("100::1"), Port: 1}, Scheduler: "rr"})
	err := t.conn.ask(ctx, request{family: t.family, command: cmdGetService, body: []nl.NetlinkRequestData{encodeService(never)}}, nothing)
	switch err {
	case nil, unix.ESRCH:
		s.IPv6, err = kernel.Present, nil
	case unix.EAFNOSUPPORT:
		s.IPv6, err = kernel.Absent, nil
	}
	return err
}

// errEnough ends a dump.
var errEnough = errors.New("enough")

// askEntries looks at what the kernel tells of the first services and the first real server.
func (s *Support) askEntries(ctx context.Context, t *Table) error {
	var services []lvs.Service
	err := t.conn.ask(ctx, t.dump(cmdGetService), func(body []byte) error {
		attr, err := nested(body, attrService)
		if err != nil {
			return err
		}
		s.Stats64 = presence(attr[svcStats64] != nil)
		service, err := decodeService(body)
		services = append(services, service)
		if err == nil && len(services) == sampled {
			return errEnough
		}
		return err
	})
	if err == errEnough { // the rest of the answer is in the socket
		_ = t.keep(err)
		err = t.open(ctx)
	}
	for _, service := range services {
		if err != nil || s.Tunnels != kernel.Unknown {
			break
		}
		err = t.conn.ask(ctx, t.dump(cmdGetDest, encodeService(toService(service))), func(body []byte) error {
			attr, err := nested(body, attrDest)
			s.Tunnels = presence(attr[destTunnelType] != nil)
			return err
		})
	}
	return tolerated(err)
}

// askSync looks at what the kernel tells of its synchronization daemons.
func (s *Support) askSync(ctx context.Context, t *Table) error {
	return tolerated(t.conn.ask(ctx, t.dump(cmdGetDaemon), func(body []byte) error {
		attr, err := nested(body, attrDaemon)
		s.SyncOptions = presence(attr[daemonMaxLen] != nil)
		return err
	}))
}

// tolerated drops the error of a table that was changed while it was read: the next question finds what this one has missed.
func tolerated(err error) error {
	if errors.Is(err, errInterrupted) {
		return nil
	}
	return err
}

func presence(has bool) kernel.Presence {
	if has {
		return kernel.Present
	}
	return kernel.Absent
}
