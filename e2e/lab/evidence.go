package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// OutDir is where the evidence of failed tests is kept, in one directory per test: $LVS_LAB_OUT, or /mnt/out, which in
// a guest is a directory of the host machine. "" if neither exists: then the evidence is only printed.
func OutDir() string {
	if dir := os.Getenv("LVS_LAB_OUT"); dir != "" {
		return dir
	}
	if info, err := os.Stat("/mnt/out"); err == nil && info.IsDir() {
		return "/mnt/out"
	}
	return ""
}

// record captures what the switch floods (ARP requests, gratuitous ARP, VRRP) until the network is closed. It does not
// use promiscuous mode: capturing the clients' traffic would cost too much in a guest with one slow CPU.
func (b *Bridge) record() {
	b.n.t.Helper()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		b.n.t.Logf("lab: no capture of %s: %v", b.Name, err)
		return
	}
	file := filepath.Join(b.n.dir, "switch-"+b.Name+".pcap")
	d, err := b.n.launch("switch", b.n.switchNS, nil, StartOptions{
		Name:  "tcpdump-" + b.Name,
		Argv:  []string{"tcpdump", "-p", "-i", b.device, "-Z", "root", "-n", "-w", file, "arp or " + VRRP},
		Quiet: true,
	})
	if err != nil {
		b.n.t.Fatalf("lab: capture of %s: %v", b.Name, err)
	}
	b.recorder = d
}

const printedTail = 40 // lines of each log in the summary

// keepEvidence copies everything to OutDir, with a summary of what to read first. Without such a directory it prints
// the summary. With one it does not, so that the output of a failed test in CI shows only why it failed.
func (n *Network) keepEvidence() {
	n.t.Helper()
	summary := n.summary()
	out := OutDir()
	if out == "" {
		n.t.Logf("%slab: set LVS_LAB_OUT to a directory to keep whole logs and captures", summary)
		return
	}
	for _, b := range n.bridges {
		if b.recorder != nil {
			b.recorder.Signal(syscall.SIGTERM) // makes tcpdump flush its file
			select {
			case <-b.recorder.exited:
			case <-time.After(3 * time.Second):
			}
		}
	}
	dir := filepath.Join(out, strings.ReplaceAll(n.t.Name(), "/", "."))
	if err := copyEvidence(n.dir, dir, summary); err != nil {
		n.t.Logf("%slab: copy the evidence: %v", summary, err)
		return
	}
	n.t.Logf("lab: logs, tables and captures are kept in %s", dir)
}

// summary is the state of every host at the time of the failure and the end of every daemon's log.
func (n *Network) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tables at the time of the failure:\n%s", n.tables())
	for _, d := range n.daemons {
		if d.quiet || strings.HasPrefix(d.Name, "tcpdump") {
			continue
		}
		fmt.Fprintf(&b, "log of %s (%s), the last %d lines:\n%s\n", d, d.state(), printedTail, d.Tail(printedTail))
	}
	return b.String()
}

// tables returns the addresses, routes, neighbours, IPVS tables and connections of every host.
func (n *Network) tables() string {
	var b strings.Builder
	for _, h := range n.hosts {
		fmt.Fprintf(&b, "== %s\n", h.Name)
		out, err := execute(h.ns, "", "sh", "-c", `
			ip addr; ip route; ip neigh
			if [ -e /proc/net/ip_vs ]; then ipvsadm -Ln; ipvsadm -Lnc | head -n 60; fi
			ss -tan 2>/dev/null | head -n 40`)
		b.WriteString(out)
		if err != nil {
			fmt.Fprintf(&b, "(%v)\n", err)
		}
	}
	return b.String()
}

// copyEvidence copies the regular files at the top of the network's directory, which leaves out sockets and database
// files.
func copyEvidence(from, to, summary string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "summary.txt"), []byte(summary), 0o644); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, entry.Name()), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) state() string {
	if !d.Running() {
		return fmt.Sprintf("ended with exit code %d", exitCode(d.cmd.ProcessState))
	}
	if d.paused {
		return "paused"
	}
	return "running"
}
