package ipvs

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// Zero sets the counters of virtual servers and of their real servers to zero; the numbers of connections that are open, and the
// rates, stay as they are (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_zero_service). done is how many were in the table: the others are
// left out. The errors are those of Apply.
func (t *Table) Zero(ctx context.Context, keys []lvs.Key) (done int, err error) {
	if err := t.open(ctx); err != nil {
		return 0, fmt.Errorf("ipvs: set counters to zero: %w", err)
	}
	for start := 0; start < len(keys); start += batch {
		part := keys[start:min(start+batch, len(keys))]
		requests := make([]request, len(part))
		for i, key := range part {
			service := toService(lvs.Service{Key: key})
			requests[i] = request{family: t.family, command: cmdZero, body: []nl.NetlinkRequestData{encodeService(service)}}
		}
		answers, err := t.conn.tell(ctx, requests)
		if err != nil {
			return done, fmt.Errorf("ipvs: set counters to zero: %w", t.keep(err))
		}
		for i, errno := range answers {
			switch {
			case errno == 0:
				done++
			case errno == unix.ENOENT: // not from IPVS: the module was unloaded
				return done, fmt.Errorf("ipvs: set counters to zero: %w", t.present(ctx))
			case errno == unix.EPERM:
				return done, fmt.Errorf("ipvs: set counters to zero: %w", errNotPermitted)
			case !errors.Is(errno, unix.ESRCH): // it is not in the table
				return done, fmt.Errorf("ipvs: set the counters of %s to zero: %w", part[i], errno)
			}
		}
	}
	return done, nil
}
