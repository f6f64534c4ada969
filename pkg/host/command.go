package host

import (
	"context"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// run runs the command of a check.
func (h Host) run(ctx context.Context, c config.CommandCheck) probe.Result {
	return resultOf(h.Commands.Run(ctx, command.Of(c)))
}

// resultOf returns the result of a check by a command. One that cannot be run is a failure: it may be the only sign of a
// disk that is gone.
func resultOf(o command.Outcome) probe.Result {
	r := probe.Result{Code: health.Failed, Class: health.Bad, Cause: "command: " + o.String(), Took: o.Took}
	switch {
	case o.Good():
		r.Code, r.Class = health.OK, health.Good
	case o.Unrunnable != "":
		r.Code = health.Unrunnable
	case o.TimedOut, o.Busy != "":
		r.Code = health.Timeout
	}
	if o.Output != "" {
		r.Cause += ": " + o.Output
	}
	return r
}

// resolve asks a neighbour, on the interface of the route to it.
func resolve(ctx context.Context, source, target netip.Addr) (string, error) {
	iface, err := route.Interface(target)
	if err != nil {
		return "", err
	}
	return neigh.Resolve(ctx, iface, source, target)
}
