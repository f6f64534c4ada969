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

// boots are what all guests of a run have in common.
type boots struct {
	tree  guest.Tree
	stock guest.Stock
	flags testFlags
	env   []string
}

// A visit is a guest with a worker in it (package worker), seen from the host.
type visit struct {
	orders *io.PipeWriter
	output *io.PipeReader
	answer *json.Decoder
	cancel context.CancelFunc
	ended  chan struct{} // closed when the guest is gone
	how    error         // set then
	words  *lastWords
	speed  int
}

// boot starts a guest and waits for its worker.
func (b boots) boot(ctx context.Context, kernel string) (place, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	in, orders := io.Pipe()
	output, out := io.Pipe()
	v := &visit{
		orders: orders, output: output, answer: json.NewDecoder(output), cancel: cancel, ended: make(chan struct{}),
		words: &lastWords{}, speed: max(1, b.flags.speed),
	}
	o := guest.Options{
		Tree: b.tree, Command: []string{self, "-worker"}, Env: b.env, Out: b.flags.out,
		Memory: b.flags.memory, Speed: b.flags.speed, Hurry: b.flags.hurry,
		Stdin: in, Stdout: out, Stderr: v.words,
	}
	if kernel == suite.Debian {
		o.Stock, o.Resident = b.stock, append(programs(), b.flags.binaries()...)
	}
	go func() {
		defer close(v.ended)
		code, err := guest.Boot(ctx, o)
		if err == nil {
			err = fmt.Errorf("its worker ended with exit code %d: %s", code, v.words)
		}
		v.how = err
		in.CloseWithError(io.ErrClosedPipe)
		out.CloseWithError(io.ErrUnexpectedEOF)
	}()
	var m suite.Message
	if err := v.answer.Decode(&m); err != nil || !m.Ready {
		v.end()
		return nil, fmt.Errorf("boot a guest: %w", v.how)
	}
	return v, nil
}

// run has the worker run a job. A guest of which nothing is heard for much longer than the job may take is killed.
func (v *visit) run(_ context.Context, j suite.Job, limit time.Duration) (suite.Outcome, bool) {
	const ending = 2 * time.Minute // for what the worker does when the limit is over
	silent := time.AfterFunc(2*time.Duration(v.speed)*limit+ending, v.cancel)
	defer silent.Stop()
	begun := time.Now()
	var t suite.Transcript
	ended, err := v.converse(j, limit, &t)
	took := time.Since(begun)
	if err != nil {
		v.cancel()
		<-v.ended
		return suite.Judge(j, &t, nil, v.how.Error(), limit, took), false
	}
	o := suite.Judge(j, &t, ended, "", limit, took)
	return o, !ended.Overtime && ended.Trouble == "" && len(ended.Left) == 0
}

// converse ends with an error when the guest does.
func (v *visit) converse(j suite.Job, limit time.Duration, t *suite.Transcript) (*suite.Ended, error) {
	order := suite.Order{Binary: j.Binary, Dir: j.Dir, Args: j.Args, Spoils: j.Exclusive, Limit: limit}
	if err := json.NewEncoder(v.orders).Encode(order); err != nil {
		return nil, err
	}
	for {
		var m suite.Message
		if err := v.answer.Decode(&m); err != nil {
			return nil, err
		}
		if m.Ended != nil {
			return m.Ended, nil
		}
		_, _ = t.Write(m.Output)
	}
}

// end lets the worker end and the guest power off, and kills what does not.
func (v *visit) end() {
	late := time.AfterFunc(30*time.Second, v.cancel)
	defer late.Stop()
	defer v.cancel()
	v.orders.Close()
	go func() { _, _ = io.Copy(io.Discard, v.output) }()
	<-v.ended
}

// lastWords keeps the end of what a worker complains of.
type lastWords struct{ text strings.Builder }

func (w *lastWords) Write(p []byte) (int, error) {
	const enough = 16 << 10
	if w.text.Len() < enough {
		w.text.Write(p)
	}
	return len(p), nil
}

func (w *lastWords) String() string { return strings.TrimSpace(w.text.String()) }
