package director

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/probe"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/replication"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/takeover"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// takeOverFile is the file with the records in the state directory.
const takeOverFile = "take-overs.jsonl"

func (d *Director) newRecorder() *takeover.Recorder {
	path := filepath.Join(d.o.StateDir, takeOverFile)
	return takeover.New(takeover.Options{
		Node: d.o.Node.Name, Ask: d.askPositions, Changed: d.problems.poke,
		Write:   func(r takeover.Record) error { return takeover.Append(path, r) },
		Written: d.recordedTakeOver,
	})
}

// newGate returns what is between the elections and the address loop.
func (d *Director) newGate(l *loops) *takeover.Gate {
	return takeover.NewGate(takeover.GateOptions{
		Holder: l.addresses, Ask: d.askPositions, Ended: d.waited,
		Changed: func() { wake(l.verdicts); d.problems.poke() },
	})
}

// waited reports the end of a wait of VIPs.
func (d *Director) waited(w takeover.Waited) {
	d.o.Record(event.Event{Kind: event.WaitEnded, Subject: w.Name, To: string(w.Ending), Reason: w.Text})
	log := d.log.With("instance", w.Name, "took", w.Took.Round(time.Millisecond).String(), "cause", w.Text)
	switch {
	case w.Ending == takeover.Applied:
		log.Info("the relay log is applied; adding the VIPs")
	case w.Fault:
		log.Error("the relay log is not applied; giving the instance up until it is")
	default:
		log.Warn("the relay log is not applied; adding the VIPs nevertheless")
	}
}

// waitProblems are the instances whose VIPs wait.
func waitProblems(all []takeover.Waiting) []problem.Finding {
	var found []problem.Finding
	for _, w := range all {
		found = append(found, problem.Finding{
			Code: problem.VIPsWait, Subject: w.Name,
			Text: fmt.Sprintf("%s: MASTER, and the VIPs wait for the relay log until %s: %s", w.Name, w.Since.Add(w.Timeout).Local().Format("15:04:05"), w.Text),
		})
	}
	return found
}

// setTakeOvers passes the instances whose take-overs are recorded.
func setTakeOvers(l *loops, p *plan.Plan) {
	want, waits := map[config.InstanceID]takeover.Wanted{}, map[config.InstanceID]takeover.Wait{}
	for _, t := range p.TakeOvers {
		s := takeover.Server{
			Address: t.Address, User: t.User, PasswordFile: t.Check.Kind.SecretFile(), From: t.Check.Source, Interval: t.Check.Interval, Timeout: t.Check.Timeout,
		}
		want[t.Instance] = takeover.Wanted{Name: t.Name, Server: s}
		if t.Wait {
			waits[t.Instance] = takeover.Wait{Name: t.Name, Server: s, Timeout: t.Timeout, Fault: t.Fault}
		}
	}
	l.takeOvers.Set(want)
	l.gate.Set(waits)
}

// askPositions asks a database for its positions, from the address that checks of it come from.
func (d *Director) askPositions(ctx context.Context, s takeover.Server) (replication.Positions, error) {
	t := &probe.Target{Address: s.Address, User: s.User, From: s.From}
	var err error
	if s.PasswordFile != "" {
		if t.Password, err = secretWithin(ctx, s.PasswordFile); err != nil {
			return replication.Positions{}, err
		}
	}
	if t.Source, err = d.source(d.sources.Load(), t); err != nil {
		return replication.Positions{}, fmt.Errorf("dial %s: %w", s.Address, err)
	}
	return d.o.Kernel.Positions(ctx, t)
}

// tookOver passes a take-over to its record. It does not block.
func tookOver(l *loops, id config.InstanceID, e event.Event) {
	if e.Kind == event.InstanceState && e.To == vrrp.Master.String() {
		l.takeOvers.TookOver(takeover.TakeOver{Instance: id, Reason: e.Reason, At: time.Now()})
	}
}

// recordedTakeOver reports a record that was made.
func (d *Director) recordedTakeOver(r takeover.Record, err error) {
	d.o.Record(event.Event{Kind: event.TakeOverRecorded, Subject: r.Instance, To: string(r.Read), Reason: r.Summary()})
	if err != nil {
		d.log.Error("cannot write a take-over record to the disk; the events have it", "instance", r.Instance, "record", r.Summary(), "error", err)
	}
}

// takeOverStatus is the last record of an instance; nil for none.
func takeOverStatus(r takeover.Record, there bool) *status.TakeOver {
	if !there {
		return nil
	}
	return &status.TakeOver{Time: r.Time, Server: r.Server, Read: string(r.Read), ReadAt: r.ReadAt, Positions: r.Positions, Error: r.Error}
}

// positionProblems are the databases whose positions cannot be read.
func positionProblems(failures []takeover.Failure) []problem.Finding {
	var found []problem.Finding
	for _, f := range failures {
		found = append(found, problem.Finding{
			Code: problem.PositionsUnread, Subject: f.Name, Text: fmt.Sprintf("take-over record of %s: %s: %s", f.Name, f.Server.Address, f.Text),
		})
	}
	return found
}
