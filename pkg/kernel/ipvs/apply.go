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

// batch is the number of operations in one send: the answers must fit into the socket's receive queue (about 800 bytes
// each, in at least 200 KiB).
const batch = 100

// Apply executes the operations in order. An operation that the kernel refuses does not prevent the others, which may
// concern other virtual servers or take out a dead real server. The refused ones are returned as Refusals. After
// Refusals and after any other error, the caller must read the table again.
//
// done are the operations that succeeded, in order. Operations on the pool of a virtual server that could not be added
// are neither in done nor in the Refusals.
//
// If the kernel refuses everything, the error is kernel.ErrNotPermitted or ErrNoIPVS; if the deadline passed, that of
// ctx.
func (t *Table) Apply(ctx context.Context, ops []lvs.Op) (done []lvs.Op, err error) {
	if len(ops) == 0 {
		return nil, nil
	}
	if err := t.open(ctx); err != nil {
		return nil, fmt.Errorf("ipvs: change the table: %w", err)
	}
	o := outcome{absent: map[lvs.Key]bool{}}
	for start := 0; start < len(ops); start += batch {
		part := ops[start:min(start+batch, len(ops))]
		answers, err := t.send(ctx, part)
		if err == nil {
			err = o.add(part, answers)
		}
		if err != nil {
			return o.done, fmt.Errorf("ipvs: change the table: %w", err)
		}
	}
	if len(o.refused) > 0 {
		return o.done, o.refused
	}
	return o.done, nil
}

// outcome is the result of the operations of one Apply.
type outcome struct {
	done    []lvs.Op
	refused Refusals
	absent  map[lvs.Key]bool // virtual servers that could not be added
}

// add processes the kernel's answers, 0 for success. It returns an error if the kernel would refuse everything.
func (o *outcome) add(ops []lvs.Op, answers []unix.Errno) error {
	for i, errno := range answers {
		op := ops[i]
		switch {
		case errno == 0:
			o.done = append(o.done, op)
			continue
		case errno == unix.ESRCH && o.absent[op.Service.Key]:
			continue
		}
		refusal := &OpError{Op: op, Err: meaning(op, errno)}
		if errors.Is(refusal, kernel.ErrNotPermitted) {
			return errNotPermitted
		}
		o.absent[op.Service.Key] = o.absent[op.Service.Key] || op.Kind == lvs.AddService
		o.refused = append(o.refused, refusal)
	}
	return nil
}

// send executes one batch. An ENOENT from generic netlink, because the module was unloaded, is an error of the whole
// batch.
func (t *Table) send(ctx context.Context, ops []lvs.Op) ([]unix.Errno, error) {
	requests := make([]request, len(ops))
	for i, op := range ops {
		var err error
		if requests[i], err = t.request(op); err != nil {
			return nil, err
		}
	}
	answers, err := t.conn.tell(ctx, requests)
	if err != nil {
		return nil, t.keep(err)
	}
	for _, errno := range answers {
		if errno == unix.ENOENT {
			return answers, t.present(ctx)
		}
	}
	return answers, nil
}

// request encodes an operation as a message. It returns an error for operations that Diff never returns.
func (t *Table) request(op lvs.Op) (request, error) {
	if err := expressible(op.Service.Address); err != nil {
		return request{}, fmt.Errorf("%s: the virtual server has %w", op, err)
	}
	r := request{family: t.family, body: []nl.NetlinkRequestData{encodeService(toService(op.Service))}}
	switch op.Kind {
	case lvs.AddService:
		r.command = cmdNewService
		return r, nil
	case lvs.UpdateService:
		r.command = cmdSetService
		return r, nil
	case lvs.DeleteService:
		r.command = cmdDelService
		return r, nil
	case lvs.AddServer:
		r.command = cmdNewDest
	case lvs.UpdateServer:
		r.command = cmdSetDest
	case lvs.DeleteServer:
		r.command = cmdDelDest
	default:
		return request{}, errors.New(op.String())
	}
	if err := expressible(op.Server.Address); err != nil {
		return request{}, fmt.Errorf("%s: the real server has %w", op, err)
	}
	r.body = append(r.body, encodeServer(op.Server))
	return r, nil
}

// expressible returns an error if an address cannot be represented in the kernel. An IPv4-mapped one would create a
// service that no packet reaches, and a zone would be lost.
func expressible(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("no address")
	case a.Is4In6():
		return fmt.Errorf("the IPv4-mapped address %s: write %s", a, a.Unmap())
	case a.Zone() != "":
		return fmt.Errorf("the address %s, whose zone IPVS does not know", a)
	default:
		return nil
	}
}
