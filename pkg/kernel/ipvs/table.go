package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Table is the IPVS table of one network namespace. Only one goroutine at a time may use it.
//
// A call that exceeds its deadline makes its socket unusable; the next call opens a new one, in the namespace of its
// thread. It first waits for the kernel to return from the previous request, and returns ErrBusy if that takes until
// its own deadline.
type Table struct {
	conn   *conn
	family uint16
	stuck  <-chan struct{} // closed when the kernel has returned from the request on the previous socket; nil: it has
}

// Open opens the IPVS table. It returns ErrNoIPVS within 5 s if the kernel has no IPVS. It does not check the
// permission to use it; see Probe.
func Open() (*Table, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t := &Table{}
	if err := t.open(ctx); err != nil {
		return nil, fmt.Errorf("ipvs: open the table: %w", err)
	}
	return t, nil
}

// Close closes the socket. The kernel's table does not change. A later call opens it again.
func (t *Table) Close() error {
	if t.conn == nil {
		return nil
	}
	c := t.conn
	t.conn = nil
	return c.file.Close()
}

func (t *Table) open(ctx context.Context) error {
	if t.conn != nil {
		return nil
	}
	if t.stuck != nil {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		select {
		case <-t.stuck:
			t.stuck = nil
		case <-ctx.Done():
			return ErrBusy
		}
	}
	c, err := dial()
	if err != nil {
		return err
	}
	if t.family, err = lookup(ctx, c); err != nil {
		t.stuck = c.close()
		return err
	}
	t.conn = c
	return nil
}

// keep closes the socket after an error that is not an answer of the kernel, and returns the error.
func (t *Table) keep(err error) error {
	var errno unix.Errno
	if err != nil && !errors.As(err, &errno) && !errors.Is(err, errInterrupted) && t.conn != nil {
		t.stuck = t.conn.close()
		t.conn = nil
	}
	return err
}

// Read returns every virtual server of the table with its real servers and their counters, ours or not, in the order of
// lvs.Sorted. A read that was interrupted by a change of the table is tried again, up to five times.
func (t *Table) Read(ctx context.Context) ([]lvs.Service, error) { return t.tries(ctx, t.read) }

// ReadServices is Read without the real servers. It takes one request, and Read one more for each virtual server.
func (t *Table) ReadServices(ctx context.Context) ([]lvs.Service, error) { return t.tries(ctx, t.list) }

// tries reads the table until that is not interrupted.
func (t *Table) tries(ctx context.Context, read func(context.Context) ([]lvs.Service, error)) ([]lvs.Service, error) {
	var services []lvs.Service
	var err error
	for try := 0; try == 0 || try < 5 && errors.Is(err, errInterrupted); try++ {
		if err = t.open(ctx); err != nil {
			break
		}
		services, err = read(ctx)
		if err == unix.ENOENT { // not from IPVS: the module was unloaded meanwhile, and may have been loaded again
			if err = t.present(ctx); errors.Is(err, errReloaded) {
				err = errInterrupted
			}
		}
		err = t.keep(err)
	}
	if err == unix.EPERM {
		err = errNotPermitted
	}
	if err != nil {
		return nil, fmt.Errorf("ipvs: read the table: %w", err)
	}
	return lvs.Sorted(services), nil
}

func (t *Table) list(ctx context.Context) ([]lvs.Service, error) {
	var services []lvs.Service
	err := t.conn.ask(ctx, t.dump(cmdGetService), func(body []byte) error {
		service, err := decodeService(body)
		services = append(services, service)
		return err
	})
	return services, err
}

func (t *Table) read(ctx context.Context) ([]lvs.Service, error) {
	services, err := t.list(ctx)
	if err != nil {
		return nil, err
	}
	for i := range services {
		service := &services[i]
		// A service that was deleted meanwhile has an empty dump (ip_vs_genl_dump_dests); the next read does not list it.
		err := t.conn.ask(ctx, t.dump(cmdGetDest, encodeService(toService(*service))), func(body []byte) error {
			server, err := decodeServer(body, service.Address)
			service.Servers = append(service.Servers, server)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return services, nil
}

func (t *Table) dump(command uint8, body ...nl.NetlinkRequestData) request {
	return request{family: t.family, command: command, flags: unix.NLM_F_DUMP, body: body}
}

// Scheduler reports whether the kernel has a scheduler, which it loads if it can: nil, or ErrNoScheduler with the name
// of the module. It does not change the table.
func (t *Table) Scheduler(ctx context.Context, name string) error {
	if err := t.has(ctx, name, "", noScheduler(name)); err != nil {
		return fmt.Errorf("ipvs: look for scheduler %s: %w", name, err)
	}
	return nil
}

// Engine reports whether the kernel has a persistence engine, like Scheduler: nil, or ErrNoEngine.
func (t *Table) Engine(ctx context.Context, name string) error {
	err := t.has(ctx, "rr", "", noScheduler("rr"))
	if err == nil {
		err = t.has(ctx, "rr", name, noEngine(name))
	}
	if err != nil {
		return fmt.Errorf("ipvs: look for persistence engine %s: %w", name, err)
	}
	return nil
}

// has requests an IPv6 service that the kernel refuses after it has found the scheduler and the engine: ip_vs_add_service
// first looks up the scheduler and the engine (ENOENT) and then requires a prefix length from 1 to 128 (EINVAL).
func (t *Table) has(ctx context.Context, scheduler, engine string, missing error) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	never := toService(lvs.Service{
		// RFC 6666: discard-only prefix, no host has this address.
		Key:       lvs.Key{Protocol: "udp", Address: netip.MustParseAddr("100::1"), Port: 1},
		Scheduler: scheduler,
	})
	never.Netmask, never.PEName = 0, engine
	err := t.conn.ask(ctx, request{
		family: t.family, command: cmdNewService, body: []nl.NetlinkRequestData{encodeService(never)},
	}, func([]byte) error { return nil })
	switch err = t.keep(err); {
	case err == unix.EINVAL:
		return nil
	case err == unix.EAFNOSUPPORT: // on a kernel without IPv6, adding the service reports a missing scheduler
		return nil
	case err == unix.ENOENT:
		if err = t.present(ctx); err == nil {
			err = missing
		}
		return err
	case err == unix.EPERM:
		return errNotPermitted
	case err == nil:
		return errors.New("the kernel accepted a service that it should refuse")
	}
	return err
}

// present reports whether the family still has the number that the table uses; if not, it closes the socket. Generic
// netlink answers ENOENT for a family that is gone, an errno that IPVS uses with other meanings.
func (t *Table) present(ctx context.Context) error {
	number, err := lookup(ctx, t.conn)
	if err == nil && number != t.family {
		err = errReloaded
	}
	return t.keep(err)
}
