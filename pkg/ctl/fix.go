package ctl

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/problem"
)

const (
	// fixSeen is how long doctor --fix waits until the daemons no longer find what it has mended: they judge the packet filter
	// every 3 s, and less often where it has thousands of rules.
	fixSeen  = 20 * time.Second
	fixAsked = 500 * time.Millisecond
)

// repair is a setting that doctor --fix has made or tried.
type repair struct {
	Node    string       `json:"node"`
	Role    string       `json:"role"`
	Code    problem.Code `json:"code"`
	Subject string       `json:"subject"`
	problem.Setting
	Before string `json:"before"`
	Error  string `json:"error,omitempty"` // why it could not be set
}

// kernelSettings are the kernel parameters of this machine. Set returns the previous value.
type kernelSettings interface {
	Set(key, value string) (previous string, err error)
}

// fix makes the settings that end the findings of a diagnosis, each once, and returns what was done.
func (d *diagnosis) fix(kernel kernelSettings) []repair {
	var done []repair
	for _, one := range d.Findings {
		for _, s := range one.Fix {
			if slices.ContainsFunc(done, func(r repair) bool { return r.Setting == s }) {
				continue
			}
			r := repair{Node: one.Node, Role: one.Role, Code: one.Code, Subject: one.Subject, Setting: s}
			if !harmless(s) { // the document is that of a daemon, which need not be ours
				r.Error = "it is not a number below net: run the command of the finding if you trust it"
			} else if before, err := kernel.Set(s.Key, s.Value); err != nil {
				r.Error = err.Error() + ": run it as root, and in a container on the host"
			} else {
				r.Before = before
			}
			done = append(done, r)
		}
	}
	return done
}

// harmless reports whether a setting is a number of the network: others could run programs.
func harmless(s problem.Setting) bool {
	below := strings.HasPrefix(s.Key, "net.") || strings.HasPrefix(s.Key, "net/")
	return below && s.Value != "" && strings.Trim(s.Value, "0123456789") == ""
}

// settled examines again until the findings that were mended are gone, for fixSeen at most, and returns the last diagnosis.
func settled(ctx context.Context, done []repair, examine func() *diagnosis) *diagnosis {
	mended := func(one finding) bool {
		return slices.ContainsFunc(done, func(r repair) bool {
			return r.Error == "" && r.Node == one.Node && r.Code == one.Code && r.Subject == one.Subject
		})
	}
	for end := time.Now().Add(fixSeen); ; {
		d := examine()
		d.Fixed = done
		if !slices.ContainsFunc(d.Findings, mended) || !time.Now().Before(end) {
			return d
		}
		select {
		case <-ctx.Done():
			return d
		case <-time.After(fixAsked):
		}
	}
}

// printRepairs prints what doctor --fix has done.
func printRepairs(w io.Writer, done []repair) {
	for _, r := range done {
		what := fmt.Sprintf("%s (%s %s): %s", visible(string(r.Code)), visible(r.Role), visible(r.Node), visible(r.Key))
		if r.Error != "" {
			fmt.Fprintf(w, "NOT FIXED %s could not be set to %s: %s\n", what, visible(r.Value), visible(r.Error))
			continue
		}
		fmt.Fprintf(w, "FIXED %s was %s, is %s until something sets it again: find that, or write it to /etc/sysctl.d\n", what, visible(r.Before), visible(r.Value))
	}
}
