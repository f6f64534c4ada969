package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/internal/programtest"
	"github.com/lvs-director/lvs-director/pkg/daemon"
)

// A daemonSet is the part of the manifest whose mistakes would be noticed only in a cluster.
type daemonSet struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
}

type pod struct {
	HostNetwork                   bool `yaml:"hostNetwork"`
	TerminationGracePeriodSeconds int  `yaml:"terminationGracePeriodSeconds"`

	Containers []struct {
		Args            []string
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			Capabilities             struct{ Drop, Add []string }
		} `yaml:"securityContext"`
		StartupProbe   probe `yaml:"startupProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		VolumeMounts   []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		} `yaml:"volumeMounts"`
	}
	Volumes []struct{ Name string }
}

type probe struct {
	Exec             struct{ Command []string }
	PeriodSeconds    int `yaml:"periodSeconds"`
	TimeoutSeconds   int `yaml:"timeoutSeconds"`
	FailureThreshold int `yaml:"failureThreshold"`
}

func manifest(t *testing.T) daemonSet {
	t.Helper()
	text, err := os.ReadFile("kubernetes/director.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d daemonSet
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.APIVersion != "apps/v1" || d.Kind != "DaemonSet" || len(d.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%+v", d)
	}
	return d
}

// TestDaemonSet: the manifest fits the programs and itself. It does not replace a cluster.
func TestDaemonSet(t *testing.T) {
	d := manifest(t)
	p := d.Spec.Template.Spec
	c := p.Containers[0]
	if grace := p.TerminationGracePeriodSeconds; grace <= 10+15 { // the default of stop_timeout, and the time for hooks
		t.Errorf("the container is killed after %d s", grace)
	}
	if !p.HostNetwork {
		t.Error("without hostNetwork the VIPs would be the pod's")
	}
	for key, value := range d.Spec.Selector.MatchLabels {
		if d.Spec.Template.Metadata.Labels[key] != value {
			t.Errorf("the selector %s=%s does not choose the pods", key, value)
		}
	}
	if add := c.SecurityContext.Capabilities.Add; !slices.Contains(add, "NET_ADMIN") || !slices.Contains(add, "NET_RAW") || !slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("capabilities: %+v", c.SecurityContext.Capabilities)
	}
	if a := c.SecurityContext.AllowPrivilegeEscalation; a == nil || *a {
		t.Error("privilege escalation is allowed")
	}
	var volumes, paths []string
	for _, v := range p.Volumes {
		volumes = append(volumes, v.Name)
	}
	for _, m := range c.VolumeMounts {
		paths = append(paths, m.MountPath)
		if !slices.Contains(volumes, m.Name) {
			t.Errorf("%s: there is no volume %s", m.MountPath, m.Name)
		}
	}
	if !slices.Contains(paths, daemon.DefaultStateDir) || !slices.Contains(paths, "/run/lvs-director") {
		t.Errorf("the state and the socket are not the node's: %v", paths)
	}
	file := c.Args[slices.Index(c.Args, "--config")+1]
	if !slices.Contains(paths, filepath.Dir(file)) {
		t.Errorf("%s is in no volume: %v", file, paths)
	}
}

// With --help a program parses its verb and flags and does nothing else.
func TestDaemonSetCallsTheProgramsAsTheyAre(t *testing.T) {
	c, dir := manifest(t).Spec.Template.Spec.Containers[0], programtest.Build(t)
	for _, command := range [][]string{append([]string{"/usr/bin/lvs-director"}, c.Args...), c.StartupProbe.Exec.Command, c.LivenessProbe.Exec.Command, c.ReadinessProbe.Exec.Command} {
		name, ok := strings.CutPrefix(command[0], "/usr/bin/")
		out, err := exec.Command(filepath.Join(dir, name), append(command[1:], "--help")...).CombinedOutput()
		if !ok || err != nil {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
	asks := []string{"/usr/bin/lvsctl", "--socket", "/run/lvs-director/director.sock"}
	if s := c.StartupProbe; !slices.Equal(s.Exec.Command, append(slices.Clone(asks), "live")) || s.PeriodSeconds*s.FailureThreshold < 30 {
		t.Errorf("startup: %+v", s)
	}
	if l := c.LivenessProbe; !slices.Equal(l.Exec.Command, append(slices.Clone(asks), "live")) || l.TimeoutSeconds < 5 || l.PeriodSeconds*l.FailureThreshold < 30 {
		t.Errorf("liveness: %+v: lvsctl live answers within 4 s, and a loop is stalled after 30 s", l)
	}
	if r := c.ReadinessProbe; !slices.Equal(r.Exec.Command, append(slices.Clone(asks), "ready")) || r.TimeoutSeconds < 5 {
		t.Errorf("readiness: %+v", r)
	}
}

// TestDockerfile: what it copies and builds is in the tree, with the Go of go.mod.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("container/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range regexp.MustCompile(`\./cmd/[a-z-]+|LICENSE|NOTICE`).FindAllString(string(text), -1) {
		if _, err := os.Stat(filepath.Join("..", path)); err != nil {
			t.Error(err)
		}
	}
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)[1]
	for _, want := range []string{"FROM golang:" + string(version) + " AS build", "pkg/version.number=", "FROM scratch", `ENTRYPOINT ["/usr/bin/lvs-director"]`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
