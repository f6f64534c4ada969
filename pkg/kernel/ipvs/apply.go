package ipvs

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// batch is how many steps go to the kernel in one send: the answers must fit into the receive queue of a socket (about
// 800 bytes each of at least 200 KiB).
const batch = 100

// Apply carries the steps out, in order. A step that the kernel refuses does not keep back the others, which may be about
// other virtual servers or take a dead real server out: they are carried out too, and all that were refused come back
// as Refusals. After those, and after any other error, the table is to be read again.
//
// done is how many steps were carried out before the first that was not; with Refusals, later ones were as well. Steps on
// the pool of a virtual server that could not be added are not named among the Refusals.
//
// Where the kernel refuses everything the error is kernel.ErrNotPermitted or ErrNoIPVS; where the deadline passed, that of ctx.
func (t *Table) Apply(ctx context.Context, ops []lvs.Op) (done int, err error) {
	if len(ops) == 0 {
		return 0, nil
	}
	if err := t.open(ctx); err != nil {
		return 0, fmt.Errorf("ipvs: change the table: %w", err)
	}
	var refused Refusals
	absent := map[lvs.Key]bool{}
	for start := 0; start < len(ops); start += batch {
		part := ops[start:min(start+batch, len(ops))]
		answers, err := t.send(ctx, part)
		if err != nil {
			return done, fmt.Errorf("ipvs: change the table: %w", err)
		}
		for i, errno := range answers {
			op := part[i]
			switch {
			case errno == 0:
				if len(refused) == 0 {
					done++
				}
				continue
			case errno == unix.ESRCH && absent[op.Service.Key]:
				continue
			}
			refusal := &OpError{Op: op, Err: meaning(op, errno)}
			if errors.Is(refusal, kernel.ErrNotPermitted) {
				return done, fmt.Errorf("ipvs: change the table: %w", errNotPermitted)
			}
			absent[op.Service.Key] = absent[op.Service.Key] || op.Kind == lvs.AddService
			refused = append(refused, refusal)
		}
	}
	if len(refused) > 0 {
		return done, refused
	}
	return done, nil
}

// send carries out one batch. An ENOENT of generic netlink, because the module went away, is an error of the whole.
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

// request writes a step as a message; only a step that no Diff makes has none.
func (t *Table) request(op lvs.Op) (request, error) {
	if !op.Service.Address.IsValid() {
		return request{}, fmt.Errorf("%s: the virtual server has no address", op)
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
	if !op.Server.Address.IsValid() {
		return request{}, fmt.Errorf("%s: the real server has no address", op)
	}
	r.body = append(r.body, encodeDestination(toDestination(op.Server)))
	return r, nil
}
