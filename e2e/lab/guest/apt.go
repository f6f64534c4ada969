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

// apt is a private apt with the machine's sources and keys, but its own lists, cache and dpkg status. It needs no
// privileges and changes nothing outside dir.
type apt struct {
	dir      string
	progress io.Writer

	updated   bool  // whether apt-get update has run
	updateErr error // its result
}

// aptConfig clears the hooks of the machine's configuration: they clean up the machine's cache, not this one.
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

// fetch downloads the named packages and their dependencies, except those that the dpkg status installed has, and
// returns the paths of the .deb files.
func (a *apt) fetch(ctx context.Context, names []string, installed string) ([]string, error) {
	if err := os.WriteFile(filepath.Join(a.dir, "status"), []byte(installed), 0o644); err != nil {
		return nil, err
	}
	if !a.updated {
		fmt.Fprintln(a.progress, "lab: reading the package lists (apt-get update, private)")
		// One broken third-party source makes update fail, but that only matters if the packages are not found
		// afterwards.
		_, a.updateErr = a.run(ctx, a.dir, "update")
		a.updated = true
	}
	plan, err := a.run(ctx, a.dir, append([]string{"install", "--simulate"}, names...)...)
	if err != nil && a.updateErr != nil {
		return nil, a.updateErr // the likely cause
	}
	if err != nil {
		return nil, err
	}
	skip := needless
	if installed != "" {
		skip = func(name string) bool { return needless(name) || fromMachine(name) }
	}
	wanted := planned(plan, skip)
	if len(wanted) == 0 {
		return nil, errors.New("apt-get would install nothing: check that /etc/apt has the distribution's package source")
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
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apt-get %s: %w: %s", args[0], err, firstLines(stderr.String(), 3))
	}
	return out.String(), nil
}

// firstLines returns the first n lines: the first error is the useful one, and one about each package follows.
func firstLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[:min(n, len(lines))], "; ")
}

// planned converts the lines of apt-get --simulate,
//
//	Inst iproute2 [6.1.0-2] (6.1.0-3 Debian:12.15/oldstable [amd64])
//
// into name=version, without the packages that skip selects.
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

// needless reports whether a package is not needed although others depend on it. Perl is only for scripts that the lab
// does not run, but libperl is needed: keepalived is linked with it.
func needless(name string) bool {
	switch name {
	case "usrmerge", "adduser":
		return true
	}
	return strings.HasPrefix(name, "perl") || strings.HasSuffix(name, "-perl")
}

// fromMachine reports whether the machine's own version of a package is used if its base packages are assumed to be
// installed: the C library, because programs of the cache also run on the host under its dynamic loader.
func fromMachine(name string) bool { return name == "libc6" || name == "libc-bin" }
