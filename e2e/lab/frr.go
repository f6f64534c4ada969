package lab

// StartBFDD starts bfdd(8) of FRRouting on the host with this configuration, and before it zebra(8), from which bfdd learns
// the interfaces. It does not wait until a session is up. Their sockets and pid files are in the host's directory.
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
	return start("bfdd", conf, "--bfdctl", h.Path("bfdd.sock"))
}
