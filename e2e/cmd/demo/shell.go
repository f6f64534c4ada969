package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// openShell builds the cluster and runs a shell in which every host is a command.
func openShell(t *labT, timeline *timeline, p programs) {
	printIntro(timeline)
	timeline.print("")
	c := newCluster(t, timeline, p)
	timeline.now("lab", "one LAN, five hosts; MariaDB starts on two of them")
	c.servers()
	timeline.now("lab", "the servers are running; agents and directors start")
	c.daemons()
	c.eventually(maxWait, "lvs-master has the VIP and both servers", func() bool {
		return c.master.hasVIP() && c.master.balances(c.rs1) && c.master.balances(c.rs2)
	})
	c.logs.flush()
	c.logs.mute() // log lines would disturb the prompt

	socket := filepath.Join(c.net.Dir(), "demo.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer listener.Close()
	go (&control{cluster: c}).listen(listener)
	commands, err := c.commands(p)
	if err != nil {
		t.Fatalf("%v", err)
	}
	timeline.print(help)
	if err := interact(commands, socket, c.net.Dir()); err != nil {
		t.Fatalf("%v", err)
	}
}

const help = `
The cluster is running. Every host is a command; without arguments it opens a shell there.

  on HOST CMD…           lvs-master, lvs-backup, mysql1, mysql2, client:   on lvs-backup ip -br addr
  lvs-master ipvsadm -Ln                     the table; the same for lvs-backup
  lvs-master tcpdump -ni eth0 vrrp or arp    adverts and ARP: who is MASTER
  status [HOST]          lvsctl status: the state of everything, and why (default: lvs-master)
  ask [N]                N logins through the VIP, counted by server (default: 12)
  client mariadb -h 10.77.0.100 -u app -papp-secret app

  unplug HOST, plug HOST                     pull or plug in the host's cable
  daemon stop|start|kill|freeze|thaw HOST    lvs-director, or the agent lvs-realserver; kill is kill -9
  db     stop|start|kill|freeze|thaw HOST    MariaDB on mysql1 or mysql2
  logs HOST              the log of its daemon;   tail -f $LAB/*lvs-*.log
  $LAB/cluster.yaml      the cluster file; after a change:   lvsctl HOST reload

exit ends the shell and the cluster.`

// commands writes the shell's commands into a directory and returns its path.
func (c *cluster) commands(p programs) (string, error) {
	dir := filepath.Join(c.net.Dir(), "commands")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	var cases strings.Builder // branches of a case statement
	scripts := map[string]string{}
	for _, h := range c.hosts() {
		// nsenter(1) needs a process in the host's namespaces.
		anchor := h.Start("anchor", "sleep", "infinity")
		fmt.Fprintf(&cases, "%s) pid=%d;;\n", h.Name, anchor.PID())
		scripts[h.Name] = `exec on ` + h.Name + ` "$@"`
	}
	scripts["on"] = `host=$1; shift
case $host in
` + cases.String() + `*) echo "on HOST CMD…: lvs-master, lvs-backup, mysql1, mysql2 or client" >&2; exit 2;;
esac
[ $# -gt 0 ] || set -- env PS1="$host# " sh
exec nsenter -t $pid --net --uts --mount --wd="$PWD" "$@"`
	scripts["lvsctl"] = `host=$1; shift
exec ` + p.path("lvsctl") + ` --socket ` + c.net.Dir() + `/$host/sock "$@"`
	scripts["status"] = `exec lvsctl "${1:-lvs-master}" status`
	for _, verb := range []string{"unplug", "plug", "daemon", "db", "logs", "ask"} {
		scripts[verb] = `exec ` + self + ` -ask ` + verb + ` "$@"`
	}
	for name, body := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// interact runs a shell on the demo's terminal until it exits. Its exit code is ignored.
func interact(commands, socket, dir string) error {
	argv := []string{"sh", "-i"}
	if _, err := exec.LookPath("bash"); err == nil {
		argv = []string{"bash", "--norc", "-i"}
	}
	shell := exec.Command(argv[0], argv[1:]...)
	shell.Stdin, shell.Stdout, shell.Stderr = os.Stdin, os.Stdout, os.Stderr
	shell.Env = append(os.Environ(), "PATH="+commands+":"+os.Getenv("PATH"), socketVariable+"="+socket, "LAB="+dir, "PS1=lab# ")
	// Ctrl-C is meant for programs in the shell, and taking back the terminal must not stop the demo (SIGTTOU).
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	if err := shell.Start(); err != nil {
		return err
	}
	_ = shell.Wait()
	return nil
}
