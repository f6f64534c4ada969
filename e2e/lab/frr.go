package lab

import "golang.org/x/sys/unix"

// StartBFDD starts bfdd(8) of FRRouting on the host with this configuration, and before it zebra(8), from which bfdd
// learns the interfaces. bfdd gets a real-time priority: the machine of a neighbour has CPUs of its own, and in a guest
// other programs would delay its packets for longer than a short detection time. It does not wait until a session is up.
// Their sockets and pid files are in the host's directory.
func StartBFDD(h *Host, conf string) (bfdd *Daemon) {
	h.n.t.Helper()
	// Both demand that their user is in this group, which the package's scripts would have created.
	h.replace("/etc/group", h.n.File(h.Name+"-group", "root:x:0:\nfrrvty:x:999:root\n"))
	run := h.Path()
	start := func(name, conf string, more ...string) *Daemon {
		return h.Start(name, append([]string{
			"/usr/lib/frr/" + name, "--user", "root", "--group", "root", "--log", "stdout", "--vty_port", "0", "--vty_socket", run,
			"--socket", h.Path("zserv.api"), "--pid_file", h.Path(name + ".pid"), "--config_file", h.n.File(h.Name+"-"+name+".conf", conf),
		}, more...)...)
	}
	start("zebra", "").WaitLog("zebra .* starting", toolDeadline)
	bfdd = start("bfdd", conf, "--bfdctl", h.Path("bfdd.sock"))
	first := unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}
	if err := unix.SchedSetAttr(bfdd.PID(), &first, 0); err != nil {
		h.n.t.Fatalf("lab: real-time priority for bfdd: %v", err)
	}
	return bfdd
}
