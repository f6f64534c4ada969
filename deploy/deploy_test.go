// Package deploy_test checks the files of this directory against the programs that they start.
package deploy_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/internal/programtest"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

// clusterFiles are the cluster files of the tree that users may copy, so not those in testdata.
func clusterFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "out"):
			return filepath.SkipDir
		case !d.IsDir() && (filepath.Ext(path) == ".yaml" || filepath.Ext(path) == ".yml"):
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if clusterFile.Match(data) {
				files = append(files, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []string{"../deploy/cluster.yaml", "../docs/examples/mysql-pair.yaml"} {
		if !slices.Contains(files, known) {
			t.Fatalf("%s is not among %v", known, files)
		}
	}
	return files
}

var clusterFile = regexp.MustCompile(`(?m)^version: *[0-9]`)

func TestExamplesValidate(t *testing.T) {
	for _, path := range clusterFiles(t) {
		if strings.HasPrefix(path, "../e2e/") { // a template
			continue
		}
		file, err := clusterfile.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range file.Problems { // an example must not have warnings either
			t.Error(p)
		}
	}
}

// The first line of an example refers editors to the output of lvsctl schema.
func TestExamplesNameTheirSchema(t *testing.T) {
	for _, path := range clusterFiles(t) {
		example, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if line, _, _ := strings.Cut(string(example), "\n"); line != "# yaml-language-server: $schema=cluster.schema.json" {
			t.Errorf("%s: the first line is %q", path, line)
		}
	}
}

// installed is where the unit files expect the programs.
const installed = "/usr/local/bin/"

// A unit is a unit file: the values of each key in order.
type unit map[string][]string

func read(t *testing.T, path string) unit {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u := unit{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

func units(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("systemd/*.service")
	if err != nil || len(all) != 2 {
		t.Fatalf("unit files: %v, %v; want two", all, err)
	}
	return all
}

// With --help a program parses its verb and flags and does nothing else.
func TestUnitsCallTheProgramsAsTheyAre(t *testing.T) {
	dir := programtest.Build(t)
	for _, path := range units(t) {
		called := 0
		for key, commands := range read(t, path) {
			if !strings.HasPrefix(key, "Exec") {
				continue
			}
			for _, command := range commands {
				words := strings.Fields(strings.TrimLeft(command, "-+!:@"))
				name, ok := strings.CutPrefix(words[0], installed)
				if !ok {
					t.Errorf("%s: %s=%s: not in %s", path, key, command, installed)
					continue
				}
				called++
				out, err := exec.Command(filepath.Join(dir, name), append(words[1:], "--help")...).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %s=%s: %v: %s", path, key, command, err, out)
				}
			}
		}
		if called < 2 {
			t.Errorf("%s: %d commands of our programs, want at least ExecStart and ExecReload", path, called)
		}
	}
}

// Settings that the daemons rely on and the documentation guarantees.
func TestUnitsSayWhatTheDaemonsNeed(t *testing.T) {
	capabilities := map[string]string{
		"systemd/lvs-director.service":   "CAP_NET_ADMIN CAP_NET_RAW CAP_SETUID CAP_SETGID CAP_KILL",
		"systemd/lvs-realserver.service": "CAP_NET_ADMIN CAP_NET_RAW",
	}
	for _, path := range units(t) {
		u := read(t, path)
		for key, want := range map[string]string{
			"Type":                     "notify",
			"Restart":                  "always",
			"RestartPreventExitStatus": "2", // daemon.ExitUsage
			"WatchdogSec":              "30s",
			"StateDirectory":           filepath.Base(daemon.DefaultStateDir),
			"RuntimeDirectory":         "lvs-director",
			"RuntimeDirectoryPreserve": "yes", // the other daemon's socket is there
			"Group":                    "lvs-director",
			"CapabilityBoundingSet":    capabilities[path],
		} {
			if got := u[key]; !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s=%s, want %s", path, key, got, want)
			}
		}
		if got := u["ProtectKernelTunables"]; got != nil {
			t.Errorf("%s: ProtectKernelTunables=%s: the daemon could not write sysctls", path, got)
		}
		for _, start := range u["ExecStart"] {
			if !strings.Contains(start, "--config "+daemon.DefaultConfig) {
				t.Errorf("%s: ExecStart=%s: does not use the default cluster file", path, start)
			}
		}
	}
	if daemon.ExitUsage != 2 {
		t.Errorf("ExitUsage is %d: change RestartPreventExitStatus, too", daemon.ExitUsage)
	}
}

// systemd-analyze verifies the units, with the paths of the programs built by this test.
func TestUnitsVerify(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := programtest.Build(t)
	for _, path := range units(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(data), installed, dir+"/")), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", copied).CombinedOutput(); err != nil || strings.Contains(string(out), copied) {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// Each scheduler has its module in modules-load.d, except one that many kernels lack: a module that does not exist would be a
// failed unit.
func TestModulesAreThoseOfTheSchedulers(t *testing.T) {
	data, err := os.ReadFile("modules-load.d/lvs-director.conf")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	example, err := os.ReadFile("cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, scheduler := range []string{"rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "lblc", "lblcr", "fo", "ovf", "mh", "twos"} {
		path := filepath.Join(dir, scheduler+".yaml")
		text := strings.Replace(string(example), "scheduler: wrr", "scheduler: "+scheduler, 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := clusterfile.Read(path)
		if listed := slices.Contains(lines, "ip_vs_"+scheduler); listed != (scheduler != "twos") || err != nil {
			t.Errorf("scheduler %s: module listed: %t, cluster file: %v", scheduler, listed, err)
		}
	}
}
