package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/journal"
)

// reconnectEvery is the interval of connection attempts to a stopped daemon.
const reconnectEvery = time.Second

func showEvents(f *flags) *cobra.Command {
	var follow bool
	var since, stateDir string
	cmd := &cobra.Command{
		Use: "events", Short: "show the event history: elections, real servers, problems, reloads; also without a running daemon",
		Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return &daemon.UsageError{Err: fmt.Errorf("--since %s: %w", since, err)}
			}
			p := &eventPrinter{out: cmd.OutOrStdout(), format: f.output, from: from}
			if follow {
				return f.follow(cmd.Context(), p, cmd.ErrOrStderr(), stateDir)
			}
			switch err := f.client().Events(cmd.Context(), from, false, p.print); {
			case errors.Is(err, api.ErrNoDaemon), errors.Is(err, api.ErrSilent):
				return f.fromFile(p, cmd.ErrOrStderr(), stateDir, err)
			case err != nil:
				return fmt.Errorf("events: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "follow new events, also across restarts of the daemon")
	cmd.Flags().StringVar(&since, "since", "", `only events since then: a duration such as 90m, or a time such as 14:50, "2026-11-21 14:50" or 2026-11-21T14:50:23Z`)
	cmd.Flags().StringVar(&stateDir, "state-dir", daemon.DefaultStateDir, "where to read the events if no daemon is running")
	_ = cmd.RegisterFlagCompletionFunc("since", cobra.NoFileCompletions) // fails only for an undefined flag
	return cmd
}

// parseSince parses the value of --since; "" is the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return time.Time{}, errors.New("a duration counts back from now and must not be negative: want one such as 90m")
		}
		return now.Add(-d), nil
	}
	if at, err := time.ParseInLocation("15:04", text, now.Location()); err == nil {
		year, month, day := now.Date()
		return time.Date(year, month, day, at.Hour(), at.Minute(), 0, 0, now.Location()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New(`want a duration such as 90m, or a time such as 14:50, "2026-11-21 14:50" or 2026-11-21T14:50:23Z`)
}

// follow prints past and new events until ctx ends. While no daemon answers, it waits for one.
func (f *flags) follow(ctx context.Context, p *eventPrinter, stderr io.Writer, stateDir string) error {
	waiting := false
	for first := true; ; first = false {
		printed := p.from
		err := f.client().Events(ctx, p.from, true, func(e event.Event) error {
			waiting = false
			return p.print(e)
		})
		if !errors.Is(err, api.ErrNoDaemon) {
			if err != nil {
				err = fmt.Errorf("events: %w", err)
			}
			return err
		}
		if first && printed.Equal(p.from) {
			if err := f.fromFile(p, stderr, stateDir, err); err != nil {
				f.notice(stderr, "lvsctl: "+err.Error())
			}
		}
		if !waiting {
			waiting = true
			f.notice(stderr, fmt.Sprintf("lvsctl: events: no daemon answers on %s; waiting for it", f.path()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectEvery):
		}
	}
}

// notice prints what a user must know beside the events, in the format of -o and on one line.
func (f *flags) notice(stderr io.Writer, text string) {
	if f.output == "json" {
		document, _ := json.Marshal(map[string]string{"notice": text}) // cannot fail for strings
		text = string(document)
	} else if f.output == "yaml" {
		text = "---\nnotice: " + strconv.Quote(text)
	}
	fmt.Fprintln(stderr, text)
}

// fromFile prints the events in the journal of a daemon that is stopped or does not answer; why is the error of the
// request. A daemon that is running and does not answer is an error even if its journal can be read.
func (f *flags) fromFile(p *eventPrinter, stderr io.Writer, stateDir string, why error) error {
	dirs := []string{stateDir, filepath.Join(stateDir, "realserver")}
	if filepath.Base(f.path()) == filepath.Base(theAgent.socket) {
		dirs = dirs[1:]
	}
	for _, dir := range dirs {
		events, err := journal.Read(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("events: %w; its journal cannot be read either: %w", why, err)
		}
		f.notice(stderr, fmt.Sprintf("lvsctl: events: %s on %s; these are from %s", unanswered(why), f.path(), journal.Path(dir)))
		for _, e := range events {
			if e.Time.Before(p.from) {
				continue
			}
			if err := p.print(e); err != nil {
				return err
			}
		}
		if errors.Is(why, api.ErrSilent) {
			return fmt.Errorf("events: %w", why)
		}
		return nil
	}
	return fmt.Errorf("events: %w; and there is no journal in %s (another directory: --state-dir)", why, strings.Join(dirs, " or "))
}

// unanswered names the kind of an error of a request.
func unanswered(err error) error {
	if errors.Is(err, api.ErrSilent) {
		return api.ErrSilent
	}
	return api.ErrNoDaemon
}

// eventPrinter prints events as they arrive.
type eventPrinter struct {
	out    io.Writer
	format string
	from   time.Time // just after the last printed event
	begun  bool
}

func (p *eventPrinter) print(e event.Event) error {
	p.from = e.Time.Add(1)
	if p.format == "table" {
		if !p.begun {
			p.begun = true
			if err := p.row("TIME", "KIND", "SUBJECT", "CHANGE", "CODE", "REASON"); err != nil {
				return err
			}
		}
		return p.row(e.Time.Local().Format("2006-01-02 15:04:05.000"), string(e.Kind), e.Subject, change(e), e.Code, e.Reason)
	}
	line, err := e.Line()
	if err != nil {
		return err
	}
	if p.format == "yaml" {
		fmt.Fprintln(p.out, "---")
	}
	return write(p.out, p.format, line)
}

// row prints a line of the table. The columns have fixed widths because later events are not known yet.
func (p *eventPrinter) row(cells ...string) error {
	for i, cell := range cells {
		if cells[i] = printable(cell); cells[i] == "" {
			cells[i] = "-"
		}
	}
	_, err := fmt.Fprintf(p.out, "%-23s  %-20s  %-16s  %-18s  %-23s  %s\n", cells[0], cells[1], cells[2], cells[3], cells[4], cells[5])
	return err
}

func change(e event.Event) string {
	if e.From == "" && e.To == "" {
		return ""
	}
	return strings.TrimSpace(short(e.From) + " -> " + short(e.To))
}

// printable removes terminal control sequences: a reason may quote a server's response.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
