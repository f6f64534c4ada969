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

// openShell builds the cluster and gives the terminal to a shell in which every host is a command.
func openShell(t *stage, story *story, p programs) {
	opening(story)
	story.print("")
	c := newCluster(t, story, p)
	story.now("lab", "one LAN, five hosts; MariaDB starts on two of them")
	c.servers()
	story.now("lab", "the servers run; agents and directors start")
	c.daemons()
	c.eventually(patience, "lvs-master has the VIP and both servers", func() bool {
		return c.master.hasVIP() && c.master.balances(c.rs1) && c.master.balances(c.rs2)
	})
	c.narrator.tell()
	c.narrator.hush() // a prompt is no place for other people's sentences

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
	story.print(help)
	if err := interact(commands, socket, c.net.Dir()); err != nil {
		t.Fatalf("%v", err)
	}
}

const help = `
The cluster runs. Every host is a command; alone it opens a shell there.

  on HOST CMD…           lvs-master, lvs-backup, mysql1, mysql2, client:   on lvs-backup ip -br addr
  lvs-master ipvsadm -Ln                     the table; the same for lvs-backup
  lvs-master tcpdump -ni eth0 vrrp or arp    who is MASTER, on the wire
  status [HOST]          lvsctl status: how everything stands, and why (lvs-master)
  ask [N]                N logins through the VIP: who answers
  client mariadb -h 10.77.0.100 -u app -papp-secret app

  unplug HOST, plug HOST                     the host's cable
  daemon stop|start|kill|freeze|thaw HOST    lvs-director, or the agent lvs-realserver; kill is kill -9
  db     stop|start|kill|freeze|thaw HOST    MariaDB on mysql1 or mysql2
  logs HOST              what its daemon logged;   tail -f $LAB/*lvs-*.log
  $LAB/cluster.yaml      the cluster file; after a change:   lvsctl HOST reload

exit ends the shell, and everything with it.`

// commands writes the shell's commands into a directory and returns it.
func (c *cluster) commands(p programs) (string, error) {
	dir := filepath.Join(c.net.Dir(), "commands")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	var places strings.Builder // the arms of a case
	scripts := map[string]string{}
	for _, h := range c.hosts() {
		// Somebody has to live in the host's namespaces for nsenter(1) to find them.
		anchor := h.Start("anchor", "sleep", "infinity")
		fmt.Fprintf(&places, "%s) pid=%d;;\n", h.Name, anchor.PID())
		scripts[h.Name] = `exec on ` + h.Name + ` "$@"`
	}
	scripts["on"] = `host=$1; shift
case $host in
` + places.String() + `*) echo "on HOST CMD…: lvs-master, lvs-backup, mysql1, mysql2 or client" >&2; exit 2;;
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

// interact runs a shell on the demo's own terminal until it ends. Its exit code is the user's affair.
func interact(commands, socket, dir string) error {
	argv := []string{"sh", "-i"}
	if _, err := exec.LookPath("bash"); err == nil {
		argv = []string{"bash", "--norc", "-i"}
	}
	shell := exec.Command(argv[0], argv[1:]...)
	shell.Stdin, shell.Stdout, shell.Stderr = os.Stdin, os.Stdout, os.Stderr
	shell.Env = append(os.Environ(), "PATH="+commands+":"+os.Getenv("PATH"), socketVariable+"="+socket, "LAB="+dir, "PS1=lab# ")
	// Ctrl-C is for what runs in the shell, and taking the terminal back must not stop the demo.
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	if err := shell.Start(); err != nil {
		return err
	}
	_ = shell.Wait()
	return nil
}
