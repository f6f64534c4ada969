package director

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/lvs"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// Zero sets the counters of a virtual server and its real servers to zero; of all that are ours if name is "". author is the
// name of the user. It may be called from any goroutine.
func (d *Director) Zero(ctx context.Context, name, author string) (status.Zeroed, error) {
	doc := status.Zeroed{VirtualServers: []string{}}
	var keys []lvs.Key
	all := []string{}
	for _, v := range d.running().VirtualServers {
		all = append(all, v.Name)
		if name != "" && name != v.Name {
			continue
		}
		doc.VirtualServers = append(doc.VirtualServers, v.Name)
		for one := range v.Services() {
			keys = append(keys, lvs.KeyOf(one))
		}
	}
	switch {
	case len(keys) == 0 && name == "":
		return doc, errors.New("the cluster file has no virtual servers")
	case len(keys) == 0:
		return doc, fmt.Errorf("there is no virtual server %q: the cluster file has %s", name, strings.Join(all, ", "))
	}
	ctx, cancel := context.WithTimeout(ctx, kernelWithin)
	defer cancel()
	balancer, err := d.o.Kernel.Balancer()
	if err != nil {
		return doc, err
	}
	done, err := balancer.Zero(ctx, keys)
	if err = errors.Join(err, balancer.Close()); done > 0 {
		d.o.Record(event.Event{Kind: event.CountersZeroed, Subject: name, Reason: "by " + author})
	}
	return doc, err
}
