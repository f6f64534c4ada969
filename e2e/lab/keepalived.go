package lab

// StartKeepalived starts keepalived(8) on the host with this keepalived.conf
// in the foreground, its pid files in the network's directory. Kill takes its
// children too. It does not wait for anything: its log says "Entering MASTER
// STATE" or "Entering BACKUP STATE".
func StartKeepalived(h *Host, conf string) *Daemon {
	h.n.t.Helper()
	return h.Start(
		"keepalived",
		"keepalived", "--dont-fork", "--log-console", "--log-detail",
		"--use-file", h.n.File(h.Name+"-keepalived.conf", conf),
		"--pid", h.Path("keepalived.pid"),
		"--vrrp_pid", h.Path("keepalived-vrrp.pid"),
		"--checkers_pid", h.Path("keepalived-checkers.pid"),
	)
}
