package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/journal"
	"github.com/lvs-director/lvs-director/pkg/kernel/rolelock"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/status"
	"github.com/lvs-director/lvs-director/pkg/task"
	"github.com/lvs-director/lvs-director/pkg/version"
)

// Exit codes of every program of the product.
const (
	ExitFailed = 1 // failed while running
	ExitUsage  = 2 // wrong usage, or a cluster file that does not validate
)

// Defaults of the flags that both daemons have.
const (
	DefaultConfig   = "/etc/lvs-director/cluster.yaml"
	DefaultStateDir = "/var/lib/lvs-director"
)

// Service is the implementation of a daemon.
type Service interface {
	// Run runs the service until ctx ends.
	Run(ctx context.Context) error
	// Reload reads the cluster file again. After an error nothing has changed. Without force it may refuse a file that
	// changes so much that it looks like a mistake.
	Reload(ctx context.Context, force bool) error
	// Status returns a document of package status.
	Status() any
	// Record returns the last events of a VRRP instance; see api.Handlers.
	Record(instance string) (string, error)
	// Heartbeats are the loops that must make progress.
	Heartbeats() *heartbeat.Set
}

// Environment is the input of Program.New.
type Environment struct {
	Config *config.Config
	// Load reads and validates the cluster file again.
	Load func() (*config.Config, error)
	// Node are the possible names of this machine in the cluster file, the most specific first.
	Node     []string
	StateDir string
	Version  string
	Log      *slog.Logger
	// Started must be called when the loops are running; it notifies systemd.
	Started func()
	// Record records an event; it does not block.
	Record func(event.Event)
	// Hurry is closed at the second signal to stop.
	Hurry <-chan struct{}
	// Problems are the problems of the cluster file and the journal, for Status.
	Problems func() []problem.Finding
}

// Program describes a daemon.
type Program struct {
	Name string // of the binary
	// Role is a name of which at most one daemon runs in a network namespace; see package rolelock. "" means any number.
	Role   string
	Short  string // one-line description
	Socket string // default of --socket
	// State is this daemon's subdirectory of --state-dir, which all daemons of a machine may share; "" means
	// --state-dir itself.
	State string
	// Judge returns why this machine cannot run a valid file, as a reload does; before is the file that ran last. Optional.
	Judge func(before, cfg *config.Config, names []string) error
	// Flags declares further flags of run. Optional.
	Flags func(*pflag.FlagSet)
	// New validates the environment and creates the service. An error counts as wrong usage.
	New func(Environment) (Service, error)
}

// UsageError is an error for which a program exits with ExitUsage.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *UsageError) Unwrap() error { return e.Err }

// PrintedError is an error whose text has been printed already; the program only exits with Code.
type PrintedError struct{ Code int }

func (e *PrintedError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

type flags struct {
	config, node, socket, stateDir, logFormat string
	debug                                     bool
}

// Command returns the program's root command with its verb run.
func Command(p Program) *cobra.Command {
	root := &cobra.Command{
		Use: p.Name, Short: p.Short, Version: version.String(),
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	var f flags
	run := &cobra.Command{
		Use: "run --config FILE", Short: "run in the foreground until SIGTERM", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd.Context(), f, cmd.ErrOrStderr()) },
	}
	f.add(run.Flags())
	if p.Flags != nil {
		p.Flags(run.Flags())
	}
	run.Flags().StringVar(&f.socket, "socket", p.Socket, "where lvsctl talks to the daemon")
	root.AddCommand(run)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	return root
}

// Verb returns another verb of a daemon, which uses the same cluster file and state directory as run, but runs once and
// has no socket. prepare adds its flags. An unusable cluster file is logged, and Environment.Config is then nil.
func Verb(use, short string, prepare func(*pflag.FlagSet) func(Environment) error) *cobra.Command {
	var f flags
	cmd := &cobra.Command{Use: use + " --config FILE", Short: short, Args: cobra.NoArgs}
	f.add(cmd.Flags())
	work := prepare(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := newLog(f, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		e := f.environment(log, newSource(f.config, f.stateDir, log))
		if e.Config, err = e.Load(); err != nil {
			log.Warn("the cluster file cannot be used; working from the state directory alone", "error", err)
		}
		return work(e)
	}
	return cmd
}

// add declares the flags common to all verbs of a daemon.
func (f *flags) add(set *pflag.FlagSet) {
	set.StringVar(&f.config, "config", DefaultConfig, "the cluster file")
	set.StringVar(&f.node, "node", "", "this machine's name in the cluster file (default: the hostname, full or short)")
	set.StringVar(&f.stateDir, "state-dir", DefaultStateDir, "where the daemon remembers what it put into the kernel")
	set.StringVar(&f.logFormat, "log-format", "text", "text or json")
	set.BoolVar(&f.debug, "debug", false, "log every packet and probe")
}

// environment returns the Environment for the flags, without the Config.
func (f *flags) environment(log *slog.Logger, from *source) Environment {
	return Environment{
		Node: Names(f.node), StateDir: f.stateDir, Version: version.String(), Log: log,
		Load: from.load, Problems: from.problems, Record: func(event.Event) {},
		Started: func() {
			_, _ = sd.SdNotify(false, sd.SdNotifyReady) // fails without systemd
			from.applied()
			from.memory.used()
		},
	}
}

// Execute runs a command and returns the exit code. It prints errors to stderr, one line per problem.
func Execute(ctx context.Context, root *cobra.Command) int {
	err := root.ExecuteContext(ctx)
	var printed *PrintedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &printed):
		return printed.Code
	}
	if journaled(os.Getenv("JOURNAL_STREAM"), os.Stderr) {
		fmt.Fprintln(root.ErrOrStderr(), prioritize(prefix(root.Name(), err)))
		return ExitCode(err)
	}
	return Complain(root, err)
}

// Complain prints the error of a command and returns its exit code.
func Complain(root *cobra.Command, err error) int {
	fmt.Fprintln(root.ErrOrStderr(), Message(root, err))
	return ExitCode(err)
}

// Message is the text that Complain prints.
func Message(root *cobra.Command, err error) string { return prefix(root.Name(), err) }

// ExitCode returns the exit code for err.
func ExitCode(err error) int {
	var usage *UsageError
	var invalid *api.InvalidError
	if errors.As(err, &usage) || errors.As(err, &invalid) || clusterfile.Refused(err) || strings.HasPrefix(err.Error(), "unknown command") {
		return ExitUsage
	}
	return ExitFailed
}

// prefix is the program name, or "" for problems of a cluster file, which begin with their position.
func prefix(name string, err error) string {
	var invalid *clusterfile.InvalidError
	if errors.As(err, &invalid) {
		return err.Error()
	}
	return name + ": " + err.Error()
}

func (p Program) run(ctx context.Context, f flags, stderr io.Writer) error {
	log, err := newLog(f, stderr)
	if err != nil {
		return err
	}
	out := newLogWriter(stderr, log) // logging never blocks the daemon
	defer out.close()
	if log, err = newLog(f, out); err != nil {
		return err
	}
	f.stateDir = filepath.Join(f.stateDir, p.State)
	events := journal.New(f.stateDir, journal.Log(log))
	from := newSource(f.config, f.stateDir, log)
	counts := new(tally)
	from.record = counts.counting(events.Record)
	public, remote := newPublisher(from.runningFile, log), newPublisher(from.runningFile, log)
	from.told = func() {
		public.applied()
		remote.applied()
	}
	e := f.environment(log, from)
	e.Record = from.record
	hurry := make(chan struct{})
	e.Hurry = hurry
	e.Problems = func() []problem.Finding {
		return slices.Concat(from.problems(), unsaved(events), public.problems(), remote.problems())
	}
	life := &lifetime{program: p.Name, version: e.Version, record: e.Record}
	e.Started = life.began(e.Started, from)
	alone, beside := p.lock()
	defer alone()
	if p.Judge != nil {
		from.judge = func(before, cfg *config.Config) error { return p.Judge(before, cfg, e.Node) }
	}
	if e.Config, err = from.begin(beside != nil); err != nil {
		return err
	}
	if beside != nil {
		return beside
	}
	service, err := p.New(e)
	if err != nil {
		return &UsageError{err}
	}
	if m, ok := service.(measured); ok {
		public.offer = (&meter{service: m, events: counts, loops: service.Heartbeats, started: time.Now()}).offer(public, log)
	}
	s := server{service: service, from: from, events: events, life: life, ports: []*publisher{public, remote}, stalls: new(stalls), log: log, hurry: hurry}
	if r, ok := service.(reachable); ok {
		remote.offer = remoteOffer(r, remote, s.handlers(), log)
	}
	return s.serve(ctx, f.socket)
}

// lock takes the lock of the program's role until release is called.
func (p Program) lock() (release func(), err error) {
	if p.Role == "" {
		return func() {}, nil
	}
	l, err := rolelock.Acquire(p.Role)
	if err != nil {
		return func() {}, err
	}
	return func() { _ = l.Close() }, nil
}

// server is a daemon ready to run.
type server struct {
	service Service
	from    *source
	events  *journal.Journal
	life    *lifetime
	ports   []*publisher
	stalls  *stalls
	log     *slog.Logger
	hurry   chan struct{}
}

// stopBySignal returns a context that ends at the first signal to stop. The second one closes hurry.
func stopBySignal(ctx context.Context, hurry chan<- struct{}) (stopped context.Context, stop func()) {
	stopped, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for n := range 2 {
			select {
			case <-signals:
			case <-ended:
				return
			}
			if cancel(); n == 1 {
				close(hurry)
			}
		}
	})
	return stopped, func() {
		signal.Stop(signals)
		close(ended)
		waiting.Wait()
		cancel()
	}
}

// serve runs the service and its socket until a signal, an error or the end of ctx.
func (s server) serve(ctx context.Context, socket string) error {
	ctx, stop := stopBySignal(ctx, s.hurry)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	listener, err := api.Listen(socket, s.log)
	if err != nil {
		return err
	}
	// The socket is closed after the service, so that status works until the end.
	group, groupCtx := errgroup.WithContext(ctx)
	answering, stopAnswering := context.WithCancel(context.WithoutCancel(ctx))
	tasks := task.NewGroup(s.service.Heartbeats())
	tasks.Start(s.events.Keeper())
	group.Go(func() error {
		defer stopAnswering()
		defer tasks.Stop() // after the last event
		defer context.AfterFunc(groupCtx, func() { _, _ = sd.SdNotify(false, sd.SdNotifyStopping) })()
		err := s.service.Run(groupCtx)
		s.life.ended(err)
		return err
	})
	group.Go(func() error { return api.Serve(answering, listener, s.handlers(), s.log) })
	group.Go(func() error {
		s.from.keep(answering)
		return nil
	})
	group.Go(func() error {
		s.from.drift.watch(answering, s.from.runningDigest)
		return nil
	})
	for _, p := range s.ports {
		group.Go(func() error {
			p.run(answering)
			return nil
		})
	}
	group.Go(func() error {
		s.watch(answering)
		return nil
	})
	group.Go(func() error {
		for {
			select {
			case <-answering.Done():
				return nil
			case <-hangup:
				_ = s.from.reload(groupCtx, s.service, true, "SIGHUP") // it logs the error; a signal cannot ask
			}
		}
	})
	return group.Wait()
}

// elector is a service that can hand over.
type elector interface {
	FailOver(ctx context.Context, name string, release bool, author string) (string, error)
}

// overrider is a service that takes what operators decide about real servers.
type overrider interface {
	Override(ctx context.Context, r status.OverrideRequest, author string) (status.OverrideResult, error)
}

// balancer is a service with an IPVS table.
type balancer interface {
	Table(ctx context.Context, foreign bool) (status.Table, error)
	Difference(ctx context.Context, cfg *config.Config) (status.Difference, error)
	Zero(ctx context.Context, name, author string) (status.Zeroed, error)
}

// explainer is a service that makes checks of real servers.
type explainer interface {
	Explain(ctx context.Context, server string) (status.Explanation, error)
	ProbeOnce(ctx context.Context, server string) ([]status.Probe, error)
}

func (s server) handlers() api.Handlers {
	var failOver func(ctx context.Context, name string, release bool, author string) (string, error)
	if e, ok := s.service.(elector); ok {
		failOver = e.FailOver
	}
	h := api.Handlers{
		FailOver: failOver,
		Status:   s.service.Status, Record: s.service.Record, Events: s.events, Live: s.stalls.live,
		Reload: func(ctx context.Context, force bool, author string) error {
			return s.from.reload(ctx, s.service, force, author)
		},
	}
	if o, ok := s.service.(overrider); ok {
		h.Override = o.Override
	}
	if e, ok := s.service.(explainer); ok {
		h.Explain, h.Probe = e.Explain, e.ProbeOnce
	}
	if b, ok := s.service.(balancer); ok {
		h.Table, h.Zero = b.Table, b.Zero
		h.Difference = func(ctx context.Context, name string, data []byte) (status.Difference, error) {
			cfg, err := s.from.other(name, data)
			if err != nil {
				return status.Difference{}, err
			}
			return b.Difference(ctx, cfg)
		}
	}
	return h
}

// Names are the possible names of this machine in the cluster file, the most specific first; node is the value of --node.
func Names(node string) []string {
	if node != "" {
		return []string{node}
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		return nil
	}
	short, _, found := strings.Cut(host, ".")
	if !found {
		return []string{host}
	}
	return []string{host, short}
}
