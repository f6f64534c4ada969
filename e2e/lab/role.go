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

// Roles are small servers and clients by name. Each gets its arguments in
// JSON and runs until it is at its end or killed. A package of the lab that
// has some gives them to Main by a function Roles.
type Roles map[string]func(arguments []byte) error

// A Runner is a *testing.M.
type Runner interface{ Run() int }

// Main is the TestMain of a package that uses servers and clients of the lab:
// they are the same binary, started again in a host. It returns the exit code.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m, standin.Roles(), measure.Roles())) }
//
// A program that is not a test calls Role first instead.
func Main(m Runner, roles ...Roles) int {
	if code, ok := Role(roles...); ok {
		return code
	}
	return m.Run()
}

// Role runs the role that the environment names, if it names one, and returns
// its exit code: 0, 1 if the role failed, 2 if none of roles has that name.
func Role(roles ...Roles) (code int, ok bool) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return 0, false
	}
	for _, some := range roles {
		role, known := some[name]
		if !known {
			continue
		}
		if err := role([]byte(os.Getenv(argumentsVariable))); err != nil {
			fmt.Fprintf(os.Stderr, "lab: %s: %v\n", name, err)
			return 1, true
		}
		return 0, true
	}
	fmt.Fprintf(os.Stderr, "lab: no role %q: TestMain must give lab.Main the Roles() of the package that starts it\n", name)
	return 2, true
}

// RoleCommand is the command, and what it needs in its environment, that runs
// a role: this binary, started again. The arguments become JSON.
func RoleCommand(role string, arguments any) (argv, env []string, err error) {
	encoded, err := json.Marshal(arguments)
	if err != nil {
		return nil, nil, fmt.Errorf("arguments of %s: %w", role, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	return []string{self}, []string{roleVariable + "=" + role, argumentsVariable + "=" + string(encoded)}, nil
}

// StartRole starts a role on the host, with a pipe to its standard input, and
// returns when it has called Ready. name is that of its log, of no interest in
// a failed test.
func (h *Host) StartRole(role, name string, arguments any) *Daemon {
	h.n.t.Helper()
	argv, env, err := RoleCommand(role, arguments)
	if err != nil {
		h.n.t.Fatalf("lab: %v", err)
	}
	d := h.StartWith(StartOptions{Name: name, Argv: argv, Env: append(env, "GOMAXPROCS=1"), Stdin: true, Quiet: true})
	d.WaitLog("^"+readyLine+"$", Slowest)
	return d
}

// Ready says, in a role, that it is at work.
func Ready() error {
	_, err := os.Stdout.WriteString(readyLine + "\n")
	return err
}

const readyLine = "ready"
