package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt is a private apt: the machine's sources and keys, but its own lists,
// cache, and idea of what is installed. It needs no privilege and changes nothing
// outside dir.
type apt struct {
	dir      string
	progress io.Writer

	updated   bool  // apt-get update has run,
	updateErr error // with this result
}

// aptConfig keeps hooks of the machine's own configuration from running: they
// tidy the machine's cache, not this one.
const aptConfig = `Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::State::extended_states "%[1]s/state/extended_states";
Dir::Cache "%[1]s/cache";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
#clear Acquire::IndexTargets::deb::Contents-deb;
`

// newApt prepares dir, which must exist.
func newApt(dir string, progress io.Writer) (*apt, error) {
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	config := fmt.Sprintf(aptConfig, dir)
	if err := os.WriteFile(filepath.Join(dir, "apt.conf"), []byte(config), 0o644); err != nil {
		return nil, err
	}
	return &apt{dir: dir, progress: progress}, nil
}

// fetch downloads the named packages and what they depend on beyond those that
// are installed by a dpkg status file, and returns the paths of the .deb files.
func (a *apt) fetch(ctx context.Context, names []string, installed string) ([]string, error) {
	if err := os.WriteFile(filepath.Join(a.dir, "status"), []byte(installed), 0o644); err != nil {
		return nil, err
	}
	if !a.updated {
		fmt.Fprintln(a.progress, "lab: reading the package lists (apt-get update, private)")
		// One broken third-party source makes update fail and hinders nobody: its
		// complaint matters only if the packages cannot be found afterwards.
		_, a.updateErr = a.run(ctx, a.dir, "update")
		a.updated = true
	}
	plan, err := a.run(ctx, a.dir, append([]string{"install", "--simulate"}, names...)...)
	if err != nil && a.updateErr != nil {
		return nil, a.updateErr // the cause
	}
	if err != nil {
		return nil, err
	}
	skip := needless
	if installed != "" {
		skip = func(name string) bool { return needless(name) || machines(name) }
	}
	wanted := planned(plan, skip)
	if len(wanted) == 0 {
		return nil, errors.New("apt-get plans to install nothing: is the distribution's package source in /etc/apt?")
	}
	fmt.Fprintf(a.progress, "lab: downloading %d packages\n", len(wanted))
	debDir, err := os.MkdirTemp(a.dir, "debs-")
	if err != nil {
		return nil, err
	}
	if _, err := a.run(ctx, debDir, append([]string{"download"}, wanted...)...); err != nil {
		return nil, err
	}
	debs, err := filepath.Glob(filepath.Join(debDir, "*.deb"))
	if err != nil {
		return nil, err
	}
	if len(debs) < len(wanted) {
		return nil, fmt.Errorf("apt-get downloaded %d of %d packages: try again", len(debs), len(wanted))
	}
	return debs, nil
}

// run executes apt-get in the directory and returns its output.
func (a *apt) run(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-c", filepath.Join(a.dir, "apt.conf"), "-q"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apt-get %s: %w: %s", args[0], err, firstLines(complaints.String(), 3))
	}
	return out.String(), nil
}

// firstLines keeps a complaint about every single package from hiding the first.
func firstLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[:min(n, len(lines))], "; ")
}

// planned reads the lines of apt-get --simulate,
//
//	Inst iproute2 [6.1.0-2] (6.1.0-3 Debian:12.15/oldstable [amd64])
//
// into name=version, without what skip names.
func planned(simulation string, skip func(name string) bool) []string {
	var names []string
	for line := range strings.Lines(simulation) {
		rest, ok := strings.CutPrefix(line, "Inst ")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		_, rest, ok = strings.Cut(rest, "(")
		version, _, _ := strings.Cut(rest, " ")
		if ok && !skip(name) {
			names = append(names, name+"="+version)
		}
	}
	return names
}

// needless names packages that are depended on and not needed. Perl serves scripts that the lab does not run; its
// library, keepalived is linked with.
func needless(name string) bool {
	switch name {
	case "usrmerge", "adduser":
		return true
	}
	return strings.HasPrefix(name, "perl") || strings.HasSuffix(name, "-perl")
}

// machines reports whether a package stays the machine's where its base is taken for granted: the C library, because
// programs of the cache also run on the host under its dynamic loader.
func machines(name string) bool { return name == "libc6" || name == "libc-bin" }
