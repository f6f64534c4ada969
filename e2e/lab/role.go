package lab

import (
	"encoding/json"
	"fmt"
	"os"
)

// The environment variables by which the lab starts the test's own binary
// again as one of its small servers and clients.
const (
	roleVariable      = "LVS_LAB_ROLE"
	argumentsVariable = "LVS_LAB_ROLE_ARGUMENTS"
)

// A Runner is a *testing.M.
type Runner interface{ Run() int }

// Main is the TestMain of a package that uses the lab's own servers and
// clients: they are the same binary, started again in a host.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }
//
// A program that is not a test calls Role first instead.
func Main(m Runner) int {
	if code, ok := Role(); ok {
		return code
	}
	return m.Run()
}

// Role runs the role that the environment names, if it names one, and returns
// its exit code.
func Role() (code int, ok bool) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return 0, false
	}
	role, known := map[string]func([]byte) error{
		"answering":     runAnswering,
		"farm":          runFarm,
		"flood":         runFlood,
		"measure":       runMeasure,
		"measure-mysql": runMeasureMySQL,
		"systemd":       runSystemd,
		"systemd-tree":  runSystemdTree,
	}[name]
	if !known {
		fmt.Fprintf(os.Stderr, "lab: no role %q\n", name)
		return 2, true
	}
	if err := role([]byte(os.Getenv(argumentsVariable))); err != nil {
		fmt.Fprintf(os.Stderr, "lab: %s: %v\n", name, err)
		return 1, true
	}
	return 0, true
}

// startRole starts this binary again on the host in a role.
func (h *Host) startRole(role, name string, arguments any) *Daemon {
	h.n.t.Helper()
	encoded, err := json.Marshal(arguments)
	if err != nil {
		h.n.t.Fatalf("lab: %s: %v", role, err)
	}
	self, err := os.Executable()
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	return h.StartWith(StartOptions{
		Name:  name,
		Argv:  []string{self},
		Env:   []string{roleVariable + "=" + role, argumentsVariable + "=" + string(encoded), "GOMAXPROCS=1"},
		stdin: true,
		quiet: true,
	})
}

const readyLine = "ready" // what a role prints when it is at work
