package director

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/hook"
	"github.com/lvs-director/lvs-director/pkg/message"
	"github.com/lvs-director/lvs-director/pkg/notify"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

const (
	// preStopWithin limits what a graceful stop waits for all hooks before it, finishWithin for all after it.
	preStopWithin = 10 * time.Second
	finishWithin  = 5 * time.Second
	// settleAfter is added to the master-down interval after which BACKUP is a role that lasts: until then a director that is
	// late by a part of a second may still become MASTER.
	settleAfter = 500 * time.Millisecond
)

// setHooks gives the notifier the hooks of a plan, and those of instances and groups that it stops.
func (d *Director) setHooks(l *loops, p *plan.Plan, ending []plan.HookSubject) {
	subjects, states := map[notify.ID]notify.Subject{}, l.instances.snapshots()
	var groups []plan.Group
	for _, s := range slices.Concat(ending, p.HookSubjects()) {
		n := notify.Subject{Type: notify.Instance, Name: s.Name(), Instance: &s.Instance, Params: s.Params, Hooks: s.Hooks}
		if s.Group.Name != "" {
			n.Type = notify.Group
			groups = append(groups, s.Group)
		}
		if a, runs := states[s.Instance.ID()]; runs {
			n.State = a.State.String()
		}
		subjects[notify.ID(s.ID)] = n
	}
	for _, s := range p.Table.PoolSubjects() {
		subjects[notify.ID(s.ID)] = poolSubject(s)
	}
	l.hookGroups.set(groups)
	l.notifier.Set(subjects)
}

// tellHooks passes a change of an instance to its hooks, and to those of its sync group if all members are in that state
// now. It does not block.
func (d *Director) tellHooks(l *loops, id config.InstanceID, e event.Event) {
	m := hook.OfState(e.To)
	if m == "" || e.Kind != event.InstanceState {
		return
	}
	tell := func(subject notify.ID, from string) {
		l.notifier.Tell(subject, func(s notify.Subject) hook.Change {
			down := vrrp.MasterDownInterval(s.Params.Version, s.Params.Priority, s.Params.AdvertInterval, s.Params.DownAdverts)
			return hook.Change{
				Moment: m, From: from, To: e.To, Priority: s.Params.Priority, Reason: e.Reason, At: time.Now(),
				Settle: hook.Settle(from, e.To, down+settleAfter),
			}
		})
	}
	tell(notify.ID(id), e.From)
	l.hookGroups.moved(id, e.To, func(group, from string) { tell(notify.ID("sync group "+group), from) })
}

// tellLower passes an advert of lower rank to the hooks of an instance that is MASTER. It does not block.
func tellLower(l *loops, id config.InstanceID) {
	l.notifier.Tell(notify.ID(id), func(s notify.Subject) hook.Change {
		return hook.Change{
			Moment: hook.LowerAdvert, From: "MASTER", To: "MASTER", Priority: s.Params.Priority, At: time.Now(),
			Reason: "a MASTER of lower priority was heard",
		}
	})
}

// preStop runs the hooks of the instances that are MASTER and about to be stopped, until ctx ends.
func (d *Director) preStop(ctx context.Context, l *loops) {
	changes := map[notify.ID]hook.Change{}
	stopping := hook.Change{Moment: hook.PreStop, From: "MASTER", To: "MASTER", Reason: "the director is being stopped", At: time.Now()}
	for id, a := range l.instances.snapshots() {
		if stopping.Priority = a.Priority; a.State == vrrp.Master {
			changes[notify.ID(id)] = stopping
			if group := l.hookGroups.of(id); group != "" {
				changes[notify.ID("sync group "+group)] = stopping
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, preStopWithin)
	defer cancel()
	l.notifier.PreStop(ctx, changes)
}

// endHooks lets the hooks of the stopped instances run, and ends the notifier.
func (d *Director) endHooks(l *loops) {
	ctx, cancel := context.WithTimeout(context.Background(), finishWithin)
	defer cancel()
	l.notifier.Finish(ctx)
	l.hooks.Stop()
}

// runHook runs one hook once.
func (d *Director) runHook(ctx context.Context, j notify.Job) notify.Result {
	if j.Try {
		return d.tryHook(ctx, j.Hook)
	}
	m := d.messageOf(j)
	var err error
	switch h := j.Hook; {
	case h.Argv != "":
		return ofCommand(d.o.Kernel.RunHook(ctx, commandOf(h, m), false))
	case h.Webhook != "":
		err = d.post(ctx, h, m)
	default:
		err = d.sendMail(ctx, h, m)
	}
	if err != nil {
		return notify.Result{Text: err.Error()}
	}
	return notify.Result{OK: true, Text: "sent"}
}

// tryHook finds out whether a hook could be run.
func (d *Director) tryHook(ctx context.Context, h config.Hook) notify.Result {
	if h.Argv != "" {
		return ofCommand(d.o.Kernel.RunHook(ctx, commandOf(h, hook.Message{}), true))
	}
	if _, err := secretWithin(ctx, secretOf(h, d.mail())); err != nil {
		return notify.Result{Text: err.Error()}
	}
	return notify.Result{OK: true}
}

func (d *Director) mail() config.Mail {
	if cfg := d.plan.Load().Config; cfg != nil {
		return cfg.Mail
	}
	return config.Mail{}
}

func (d *Director) messageOf(j notify.Job) hook.Message {
	i, c := j.Subject.Instance, j.Change
	m := hook.Message{
		Node: d.o.Node.Name, Type: j.Subject.Type, Name: j.Subject.Name, Event: c.Moment, State: c.To, Previous: c.From, Priority: c.Priority,
		Reason: c.Reason, Time: c.At,
	}
	switch j.Subject.Type {
	case notify.Group:
		return m
	case notify.RealServer, notify.VirtualServer:
		return ofPool(m, j.Subject.Pool, j.Subject.Server)
	}
	m.VirtualRouterID, m.Interface = i.VRID, i.Interface
	for _, p := range i.Held() {
		m.VirtualAddresses = append(m.VirtualAddresses, p.String())
	}
	return m
}

func commandOf(h config.Hook, m hook.Message) command.Command {
	c := command.Command{Argv: h.Argv.Words(), User: h.User, Groups: h.Groups.Words(), Env: m.Env()}
	if h.Arguments {
		c.Argv = append(c.Argv, m.Arguments()...)
	}
	return c
}

func ofCommand(o command.Outcome) notify.Result {
	text := o.String()
	if !o.TimedOut && o.Unrunnable == "" && o.Busy == "" {
		text += " after " + o.Took.Round(time.Millisecond).String()
	}
	if o.Output != "" {
		text += ": " + o.Output
	}
	return notify.Result{OK: o.Good(), Text: text}
}

func (d *Director) post(ctx context.Context, h config.Hook, m hook.Message) error {
	authorization, err := secretWithin(ctx, h.AuthorizationFile)
	if err != nil {
		return err
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return d.o.Kernel.Post(ctx, h.Webhook, authorization, body)
}

func (d *Director) sendMail(ctx context.Context, h config.Hook, m hook.Message) error {
	server := d.mail()
	password, err := secretWithin(ctx, server.PasswordFile)
	if err != nil {
		return err
	}
	return d.o.Kernel.SendMail(ctx, message.Mail{Server: server, Password: password, To: h.MailTo.Words(), Subject: m.Subject(), Text: m.Text()})
}

func secretOf(h config.Hook, server config.Mail) string {
	if h.MailTo != "" {
		return server.PasswordFile
	}
	return h.AuthorizationFile
}

// secretWithin reads a secret until ctx ends, without a cache: an editor may leave size and time of the file unchanged.
func secretWithin(ctx context.Context, file string) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := new(checker.SecretFiles).Read(file)
		done <- result{strings.TrimSpace(text), err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done(): // the blocked reader cannot be canceled
		return "", fmt.Errorf("%s is not read in time: put it on a local disk", file)
	}
}

// hookProblems are the hooks whose last run failed, and those that could not be run.
func hookProblems(failures []notify.Failure) []problem.Finding {
	var found []problem.Finding
	for _, f := range failures {
		found = append(found, problem.Finding{
			Code: problem.HookFailed, Subject: f.Name + " " + f.Hook.Label(), Text: "hook of " + f.Subject + ": " + f.Text,
		})
	}
	return found
}
