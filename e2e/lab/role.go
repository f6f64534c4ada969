package lab

import (
	"encoding/json"
	"fmt"
	"os"
)

// The environment variables with which the lab re-executes the test binary as one of its small servers and clients.
const (
	roleVariable      = "LVS_LAB_ROLE"
	argumentsVariable = "LVS_LAB_ROLE_ARGUMENTS"
)

// Roles are small servers and clients by name. Each gets its arguments as JSON and runs until it is finished or killed.
// A package of the lab that has roles exports them with a function Roles, for Main.
type Roles map[string]func(arguments []byte) error

// A Runner is a *testing.M.
type Runner interface{ Run() int }

// Main is the TestMain of a package that uses servers and clients of the lab: they are the same binary, re-executed on
// a host. It returns the exit code.
//
//	func TestMain(m *testing.M) { os.Exit(lab.Main(m, standin.Roles(), measure.Roles())) }
//
// A program that is not a test calls Role at its start instead.
func Main(m Runner, roles ...Roles) int {
	if code, ok := Role(roles...); ok {
		return code
	}
	return m.Run()
}

// Role runs the role that is named in the environment, and returns its exit code: 0, 1 if the role failed, 2 if roles
// has no such name. ok is false if the environment names no role.
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

// RoleCommand returns the command that runs a role (this binary), and the environment that it needs. The arguments are
// passed as JSON.
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

// StartRole starts a role on the host, with a pipe to its standard input, and returns when the role has called Ready.
// name is the name of its log, which the summary of a failed test leaves out.
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

// Ready is called by a role when it is ready.
func Ready() error {
	_, err := os.Stdout.WriteString(readyLine + "\n")
	return err
}

const readyLine = "ready"
