package host

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/kernel/neigh"
	"github.com/lvs-director/lvs-director/pkg/kernel/route"
	"github.com/lvs-director/lvs-director/pkg/probe"
)

// run runs the command of a check. That of a real server learns its address.
func (h Host) run(ctx context.Context, t *probe.Target, c config.CommandCheck) probe.Result {
	run := command.Of(c)
	if t.Address.IsValid() {
		run.Env = []string{"LVS_ADDRESS=" + t.Address.Addr().String(), "LVS_PORT=" + strconv.Itoa(int(t.Address.Port()))}
	}
	o := h.Commands.Run(ctx, run)
	r := resultOf(o)
	if c.SetsWeight && o.Weighs() {
		r.Code, r.Class, r.Weighted, r.Weight = health.OK, health.Good, true, uint16(o.Status-2)
		r.Cause += fmt.Sprintf(", weight %d", r.Weight)
	}
	t.Trace.Add("ran %q with %q: %s", run.Argv, run.Env, r.Cause)
	return r
}

// resultOf returns the result of a check by a command. One that cannot be run, or does not end although it was killed, is
// no evidence about what it checks.
func resultOf(o command.Outcome) probe.Result {
	r := probe.Result{Code: health.Failed, Class: health.Bad, Cause: "command: " + o.String(), Took: o.Took}
	switch {
	case o.Good():
		r.Code, r.Class = health.OK, health.Good
	case o.Unrunnable != "":
		r.Code, r.Class = health.Unrunnable, health.Unknown
	case o.Busy != "":
		r.Code, r.Class = health.Stuck, health.Unknown
	case o.TimedOut:
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
