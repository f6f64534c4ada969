package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
)

// The shell's commands are separate processes, but the demo process controls links and daemons. So the commands send
// requests to the demo over a unix socket, one JSON document in each direction.

const socketVariable = "LVS_DEMO_SOCKET"

const controlDeadline = 2 * time.Minute // enough to start MariaDB on a busy machine

type reply struct {
	Text   string
	Failed bool
}

// request is the client: it sends a command to the demo, prints the reply and returns the exit code.
func request(words []string, stdout, stderr io.Writer) int {
	answer, err := exchange(os.Getenv(socketVariable), words)
	if err != nil {
		fmt.Fprintf(stderr, "demo: %v (this works inside the shell of `make demo-shell`)\n", err)
		return exitFailed
	}
	if answer.Failed {
		fmt.Fprintln(stderr, answer.Text)
		return exitFailed
	}
	fmt.Fprint(stdout, answer.Text)
	return exitMet
}

func exchange(socket string, words []string) (answer reply, err error) {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(controlDeadline)); err != nil {
		return answer, err
	}
	if err := json.NewEncoder(conn).Encode(words); err != nil {
		return answer, err
	}
	return answer, json.NewDecoder(conn).Decode(&answer)
}

// control is the server, in the demo process.
type control struct {
	*cluster
	mu sync.Mutex // the lab must not be used concurrently
}

// listen serves requests until the listener is closed.
func (c *control) listen(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go c.serve(conn)
	}
}

func (c *control) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlDeadline))
	answer := reply{Text: "the lab failed, see above", Failed: true}
	// Deferred, because a failure of the lab ends the goroutine.
	defer func() { _ = json.NewEncoder(conn).Encode(answer) }()
	var words []string
	if err := json.NewDecoder(io.LimitReader(conn, 1<<16)).Decode(&words); err != nil {
		answer.Text = err.Error()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text, err := c.do(words)
	if err != nil {
		answer = reply{Text: err.Error(), Failed: true}
		return
	}
	answer = reply{Text: text}
}

// do executes one command: a verb, its arguments, and the host last.
func (c *control) do(words []string) (string, error) {
	if len(words) == 0 {
		return "", fmt.Errorf("no command")
	}
	verb, args := words[0], words[1:]
	if verb == "ask" {
		return c.ask(args)
	}
	if len(args) == 0 {
		return "", fmt.Errorf("%s: name a host", verb)
	}
	n := c.node(args[len(args)-1])
	if n == nil {
		return "", fmt.Errorf("no host %q: use lvs-master, lvs-backup, mysql1 or mysql2", args[len(args)-1])
	}
	switch verb {
	case "unplug":
		n.Link("eth0").CarrierDown()
		return "", nil
	case "plug":
		n.Link("eth0").CarrierUp()
		return "", nil
	case "logs":
		return n.daemon.Log(), nil
	case "daemon":
		return "", controlProcess(args[0], n.daemon, n.start)
	case "db":
		return "", c.database(args[0], n)
	}
	return "", fmt.Errorf("unknown command %q", verb)
}

func (c *control) node(name string) *node {
	for _, n := range []*node{c.master, c.backup, c.rs1, c.rs2} {
		if n.Name == name {
			return n
		}
	}
	return nil
}

func (c *control) database(verb string, n *node) error {
	servers := map[string]*mariadb.Server{"mysql1": c.mysql1, "mysql2": c.mysql2}
	m := servers[n.Name]
	if m == nil {
		return fmt.Errorf("%s has no MariaDB", n.Name)
	}
	return controlProcess(verb, m.Daemon, m.Start)
}

// controlProcess stops, starts, kills, freezes or thaws a process.
func controlProcess(verb string, d *lab.Daemon, start func()) error {
	verbs := []string{"stop", "start", "kill", "freeze", "thaw"}
	switch {
	case !slices.Contains(verbs, verb):
		return fmt.Errorf("use %s", strings.Join(verbs, ", "))
	case verb == "start" && d.Running():
		return fmt.Errorf("%s is already running", d)
	case verb != "start" && !d.Running():
		return fmt.Errorf("%s is not running", d)
	}
	switch verb {
	case "stop":
		d.Stop()
	case "start":
		start()
	case "kill":
		d.Kill()
	case "freeze":
		d.Pause()
	case "thaw":
		d.Resume()
	}
	return nil
}

// ask logs in through the VIP a number of times and counts the answers by server.
func (c *control) ask(args []string) (string, error) {
	count := 12
	if len(args) > 0 {
		given, err := strconv.Atoi(args[0])
		if err != nil || given < 1 || given > 1000 {
			return "", fmt.Errorf("ask %s: give a number from 1 to 1000", args[0])
		}
		count = given
	}
	db := mariadb.Open(c.client, mysqlPort, mariadb.AppUser, mariadb.AppPassword, "app")
	defer db.Close()
	db.SetMaxIdleConns(-1) // a new login each time
	answers := map[string]int{}
	for range count {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		var who string
		if err := db.QueryRowContext(ctx, "SELECT @@hostname").Scan(&who); err != nil {
			who = "failed: " + err.Error()
		}
		cancel()
		answers[who]++
	}
	var b strings.Builder
	names := make([]string, 0, len(answers))
	for name := range answers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%4d  %s\n", answers[name], name)
	}
	return b.String(), nil
}
