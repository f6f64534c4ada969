package ctl

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/status"
)

const (
	// lookAtDrain is how often the connections are counted, sayEvery how often an unchanged number is printed.
	lookAtDrain = time.Second
	sayEvery    = 30 * time.Second
	// barWidth is the width of the bar, in characters.
	barWidth = 30
)

// progress shows how many connections are open: on a terminal as a bar in one line, elsewhere as a line for each change.
type progress struct {
	w        io.Writer
	terminal bool
	begun    int // connections at the begin, or the most since
	last     int
	said     time.Time
}

func newProgress(w io.Writer) *progress {
	f, is := w.(*os.File)
	if !is {
		return &progress{w: w, last: -1}
	}
	info, err := f.Stat()
	return &progress{w: w, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, last: -1}
}

// show shows the number of open connections.
func (p *progress) show(open int, now time.Time) {
	p.begun = max(p.begun, open)
	switch {
	case p.terminal:
		done := barWidth
		if p.begun > 0 {
			done = barWidth * (p.begun - open) / p.begun
		}
		fmt.Fprintf(p.w, "\r[%s%s] %s open \x1b[K", strings.Repeat("#", done), strings.Repeat(".", barWidth-done), connections(open))
	case open != p.last || now.Sub(p.said) >= sayEvery:
		fmt.Fprintf(p.w, "%s open\n", connections(open))
		p.said = now
	}
	p.last = open
}

// end ends the line of a bar.
func (p *progress) end() {
	if p.terminal && p.last >= 0 {
		fmt.Fprintln(p.w)
	}
}

// drainState is how far a drain has come, from a status document.
type drainState struct {
	open     int
	waiting  []string // real servers that are not disabled yet
	replaced []string // that have another override now, or none
	missing  []string // that the document does not have
	servers  []status.RealServer
}

// look returns the state of the drain of real servers that began at a time.
func look(document []byte, of []string, since time.Time) (s drainState, err error) {
	var doc status.Director
	if err := json.Unmarshal(document, &doc); err != nil {
		return s, fmt.Errorf("the daemon's answer is not understood: %w", err)
	}
	known := map[string]bool{}
	for _, v := range doc.VirtualServers {
		for _, r := range v.RealServers {
			name := v.Name + "/" + r.Name
			if !slices.Contains(of, name) {
				continue
			}
			known[name] = true
			s.servers = append(s.servers, r)
			switch {
			case r.Override == nil || r.Override.Kind != "drain" || r.Override.Since.Before(since):
				s.replaced = append(s.replaced, name)
			case r.State != "disabled":
				s.waiting, s.open = append(s.waiting, name), s.open+r.ActiveConnections
			}
		}
	}
	for _, name := range of {
		if !known[name] {
			s.missing = append(s.missing, name)
		}
	}
	return s, nil
}

// undone returns an error if real servers are not drained any more, or nothing is known about them.
func (s drainState) undone() error {
	switch {
	case len(s.missing) > 0:
		return fmt.Errorf("drain: the cluster file has no %s any more, or names it otherwise: see lvsctl status", strings.Join(s.missing, ", "))
	case len(s.replaced) > 0:
		return fmt.Errorf("drain: %s is not drained any more: see lvsctl events", strings.Join(s.replaced, ", "))
	}
	return nil
}

// awaitDrained waits until the real servers are drained.
func (c *overrideCommand) awaitDrained(cmd *cobra.Command, done status.OverrideResult) error {
	out := cmd.OutOrStdout()
	p := newProgress(out)
	if c.output != "table" {
		p = &progress{w: io.Discard}
	}
	defer p.end()
	var names []string
	for _, s := range done.Servers {
		names = append(names, s.Name)
	}
	tick := time.NewTicker(lookAtDrain)
	defer tick.Stop()
	for {
		document, err := c.client().Status(cmd.Context())
		if err != nil {
			return fmt.Errorf("drain: it goes on, but cannot be followed: %w", err)
		}
		s, err := look(document, names, done.Override.Since)
		if err != nil {
			return fmt.Errorf("drain: %w", err)
		}
		if err := s.undone(); err != nil {
			return err
		}
		if len(s.waiting) == 0 {
			p.end()
			p.last = -1
			return c.printDrained(out, names, s)
		}
		p.show(s.open, time.Now())
		select {
		case <-tick.C:
		case <-cmd.Context().Done():
			return errors.New("drain: not waiting any longer; it goes on: see lvsctl status")
		}
	}
}

func (c *overrideCommand) printDrained(w io.Writer, names []string, s drainState) error {
	if c.output != "table" {
		return writeValue(w, c.output, struct {
			Servers []status.RealServer `json:"servers"`
		}{s.servers})
	}
	_, err := fmt.Fprintf(w, "%s: drained: it can be stopped\n", cmp.Or(strings.Join(names, ", "), c.request.Target))
	return err
}
