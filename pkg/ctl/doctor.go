package ctl

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/bundle"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/problem"
)

// diagnosis is the document of doctor.
type diagnosis struct {
	State    string    `json:"state"` // OK, WARNING, CRITICAL or UNKNOWN
	ExitCode int       `json:"exit_code"`
	Examined []string  `json:"examined"` // "director lvs-master"
	Findings []finding `json:"findings"`
	// Fixed are the settings of --fix; the findings are those after them.
	Fixed []repair `json:"fixed,omitempty"`
	// Unknown are daemons that could not be asked, and why.
	Unknown []string `json:"unknown,omitempty"`
}

// finding is a problem of a daemon, with what its code means.
type finding struct {
	Node string `json:"node"`
	Role string `json:"role"`
	problem.Problem
	Means string `json:"means,omitempty"` // absent for a code of a newer version
}

func diagnose(f *flags) *cobra.Command {
	path, fix := "", false
	cmd := &cobra.Command{
		Use: "doctor", Short: "say what is wrong on this machine, why it matters, and what mends it; exit code 0 (nothing), 1 (warning), 2 (critical) or 3 (unknown)",
		Args: exactly(0, "no arguments"), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := f.diagnosis(cmd.Context(), path, fix)
			if err != nil {
				return err
			}
			if f.output != "table" {
				if err := writeValue(cmd.OutOrStdout(), f.output, d); err != nil {
					return err
				}
			} else {
				printRepairs(cmd.OutOrStdout(), d.Fixed)
				d.print(cmd.OutOrStdout(), time.Now())
			}
			if d.ExitCode == 0 {
				return nil
			}
			return &daemon.PrintedError{Code: d.ExitCode}
		},
	}
	cmd.Flags().StringVar(&path, "bundle", "", "examine an archive of lvsctl bundle instead of this machine")
	cmd.Flags().BoolVar(&fix, "fix", false, "as root, make the settings that end findings and that are safe: kernel parameters of the network; say what was done")
	return cmd
}

// diagnosis examines this machine or a bundle; fix makes the safe settings first.
func (f *flags) diagnosis(ctx context.Context, path string, fix bool) (*diagnosis, error) {
	examine := func() *diagnosis {
		d := &diagnosis{Examined: []string{}, Findings: []finding{}}
		f.examineDaemons(ctx, d)
		d.judge()
		return d
	}
	switch {
	case path != "" && fix:
		return nil, &daemon.UsageError{Err: errors.New("doctor: --fix and --bundle exclude each other: a bundle is not this machine")}
	case path != "":
		d := &diagnosis{Examined: []string{}, Findings: []finding{}}
		if err := examineBundle(path, d); err != nil {
			return nil, &daemon.UsageError{Err: fmt.Errorf("doctor: %s: %w", path, err)}
		}
		d.judge()
		return d, nil
	}
	d := examine()
	if !fix {
		return d, nil
	}
	if done := d.fix(sysctl.Proc()); len(done) > 0 {
		return settled(ctx, done, examine), nil
	}
	return d, nil
}

// examineDaemons asks the daemons of this machine.
func (f *flags) examineDaemons(ctx context.Context, d *diagnosis) {
	if text := unusable(daemon.DefaultConfig); f.socket == "" && text != "" {
		d.Unknown = append(d.Unknown, text)
	}
	for _, l := range f.daemons() {
		if document, err := f.clientOf(l).Status(ctx); err != nil {
			d.Unknown = append(d.Unknown, err.Error())
		} else {
			d.examine(l.unit, document)
		}
	}
}

// unusable says why a cluster file does not tell which daemons belong on this machine. It is empty if the file does, or if there is none.
func unusable(path string) string {
	_, err := clusterfile.Read(path)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return fmt.Sprintf("it is not known which daemons belong on this machine: %s cannot be used; lvsctl check %s says why", path, path)
}

// examineBundle reads the status documents of a bundle.
func examineBundle(path string, d *diagnosis) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	parts, err := bundle.Read(file)
	if err != nil {
		return err
	}
	var index bundle.Index
	if err := json.Unmarshal(parts[bundle.IndexName], &index); err != nil {
		return err
	}
	for _, p := range index.Parts {
		switch name, is := strings.CutSuffix(p.Name, "/status.json"); {
		case !is:
		case p.Error != "" || p.Cut:
			d.Unknown = append(d.Unknown, cmp.Or(p.Error, p.Name+" is not whole"))
		default:
			d.examine(name, parts[p.Name])
		}
	}
	return nil
}

// examine adds the problems of a status document.
func (d *diagnosis) examine(name string, document []byte) {
	code, line, problems := evaluate(document)
	if code == pluginUnknown {
		d.Unknown = append(d.Unknown, name+": "+line)
		return
	}
	var head struct{ Node, Role string }
	_ = json.Unmarshal(document, &head) // evaluate has done so already
	d.Examined = append(d.Examined, strings.TrimSpace(head.Role+" "+head.Node))
	meanings := map[problem.Code]string{}
	for _, one := range problem.Declared().All() {
		meanings[one.Code] = one.Means
	}
	for _, p := range problems {
		d.Findings = append(d.Findings, finding{head.Node, head.Role, p, meanings[p.Code]})
	}
}

// judge orders the findings, critical ones first, and sets the state.
func (d *diagnosis) judge() {
	slices.SortStableFunc(d.Findings, func(a, b finding) int { return exitCode(b.Severity) - exitCode(a.Severity) })
	for _, one := range d.Findings {
		d.ExitCode = max(d.ExitCode, exitCode(one.Severity))
	}
	if len(d.Unknown)+len(d.Examined) == 0 {
		d.Unknown = []string{"there is no status of a daemon"}
	}
	if len(d.Unknown) > 0 && d.ExitCode < 2 { // what is critical is known to be
		d.ExitCode = pluginUnknown
	}
	d.State = []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[d.ExitCode]
}

func (d *diagnosis) print(w io.Writer, now time.Time) {
	for _, one := range d.Findings { // no full stop at the end: many remedies end with a command, which is copied
		fmt.Fprintf(w, "%s %s (%s %s, for %s)\n  Found: %s\n", visible(string(one.Severity)), visible(string(one.Code)), visible(one.Role), visible(one.Node), age(one.Since, now), visible(one.Text))
		if one.Means != "" {
			fmt.Fprintf(w, "  Means: %s\n", one.Means)
		}
		fmt.Fprintf(w, "  To do: %s\n", visible(one.Remedy))
	}
	for _, text := range d.Unknown {
		fmt.Fprintf(w, "UNKNOWN: %s\n", visible(text))
	}
	fmt.Fprintf(w, "%s: %d findings; examined: %s\n", d.State, len(d.Findings), cmp.Or(visible(strings.Join(d.Examined, ", ")), "nothing"))
}

// visible replaces control characters, with which a bundle of others could move the cursor of a terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
