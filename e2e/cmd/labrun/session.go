package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
	"github.com/lvs-director/lvs-director/e2e/suite"
)

// A booter boots the guests of a run.
type booter struct {
	tree  guest.Tree
	stock guest.Stock
	flags testFlags
	env   []string
}

// A session is the host's connection to a worker (package worker) in a guest. It is a runner.
type session struct {
	orders *io.PipeWriter
	output *io.PipeReader
	answer *json.Decoder
	cancel context.CancelFunc
	ended  chan struct{} // closed when the guest is gone
	err    error         // why the guest is gone; valid after ended is closed
	stderr *stderrHead
	speed  int
}

// fetch fetches the kernels that the jobs need, unless the cache has them.
func (b *booter) fetch(ctx context.Context, cache guest.Cache, jobs []suite.Job) (err error) {
	if needs(jobs, suite.UML) {
		if b.tree, err = cache.Fill(ctx, os.Stderr); err != nil {
			return err
		}
	}
	if needs(jobs, suite.Debian) {
		b.stock, err = cache.FillStock(ctx, os.Stderr)
	}
	return err
}

// boot starts a guest and waits for its worker.
func (b booter) boot(ctx context.Context, kernel string) (runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	in, orders := io.Pipe()
	output, out := io.Pipe()
	s := &session{
		orders: orders, output: output, answer: json.NewDecoder(output), cancel: cancel, ended: make(chan struct{}),
		stderr: &stderrHead{}, speed: max(1, b.flags.speed),
	}
	o := guest.Options{
		Tree: b.tree, Command: []string{self, "-worker"}, Env: b.env, Out: b.flags.out,
		Memory: b.flags.memory, Speed: b.flags.speed, Hurry: b.flags.hurry,
		Stdin: in, Stdout: out, Stderr: s.stderr,
	}
	if kernel == suite.Debian {
		o.Stock, o.Resident = b.stock, append(programs(), b.flags.binaries()...)
	}
	go func() {
		defer close(s.ended)
		code, err := guest.Boot(ctx, o)
		if err == nil {
			err = fmt.Errorf("its worker exited with code %d: %s", code, s.stderr)
		}
		s.err = err
		in.CloseWithError(io.ErrClosedPipe)
		out.CloseWithError(io.ErrUnexpectedEOF)
	}()
	var m suite.Message
	if err := s.answer.Decode(&m); err != nil || !m.Ready {
		s.end()
		return nil, fmt.Errorf("boot a guest: %w", s.err)
	}
	return s, nil
}

// run has the worker run a job. If the job has not ended long after its limit, the guest is killed.
func (s *session) run(_ context.Context, j suite.Job, limit time.Duration) (suite.Outcome, bool) {
	const grace = 2 * time.Minute // for what the worker does after the limit
	killTimer := time.AfterFunc(2*time.Duration(s.speed)*limit+grace, s.cancel)
	defer killTimer.Stop()
	begun := time.Now()
	var t suite.Transcript
	ended, err := s.exchange(j, limit, &t)
	took := time.Since(begun)
	if err != nil {
		s.cancel()
		<-s.ended
		return suite.Judge(j, &t, nil, s.err.Error(), limit, took), false
	}
	o := suite.Judge(j, &t, ended, "", limit, took)
	return o, !ended.Overtime && ended.Error == "" && len(ended.Left) == 0
}

// exchange sends the order and reads the worker's messages until the job has ended. It returns an error if the guest
// ends first.
func (s *session) exchange(j suite.Job, limit time.Duration, t *suite.Transcript) (*suite.Ended, error) {
	order := suite.Order{Binary: j.Binary, Dir: j.Dir, Args: j.Args, Exclusive: j.Exclusive, Limit: limit}
	if err := json.NewEncoder(s.orders).Encode(order); err != nil {
		return nil, err
	}
	for {
		var m suite.Message
		if err := s.answer.Decode(&m); err != nil {
			return nil, err
		}
		if m.Ended != nil {
			return m.Ended, nil
		}
		_, _ = t.Write(m.Output)
	}
}

// end lets the worker exit and the guest power off, and kills the guest if it has not done so after 30 s.
func (s *session) end() {
	late := time.AfterFunc(30*time.Second, s.cancel)
	defer late.Stop()
	defer s.cancel()
	s.orders.Close()
	go func() { _, _ = io.Copy(io.Discard, s.output) }()
	<-s.ended
}

// stderrHead keeps the first 16 KiB or so of a worker's standard error.
type stderrHead struct{ text strings.Builder }

func (w *stderrHead) Write(p []byte) (int, error) {
	const limit = 16 << 10
	if w.text.Len() < limit {
		w.text.Write(p)
	}
	return len(p), nil
}

func (w *stderrHead) String() string { return strings.TrimSpace(w.text.String()) }
