package lab

// StartKeepalived starts keepalived(8) in the foreground on the host with this keepalived.conf, with more options if there
// are any, and with its pid files in the host's directory. Kill also kills its children. It does not wait until keepalived
// is ready: wait for "Entering MASTER STATE" or "Entering BACKUP STATE" in the log.
func StartKeepalived(h *Host, conf string, options ...string) *Daemon {
	h.n.t.Helper()
	return h.Start("keepalived", append([]string{
		"keepalived", "--dont-fork", "--log-console", "--log-detail",
		"--use-file", h.n.File(h.Name+"-keepalived.conf", conf),
		"--pid", h.Path("keepalived.pid"),
		"--vrrp_pid", h.Path("keepalived-vrrp.pid"),
		"--checkers_pid", h.Path("keepalived-checkers.pid"),
	}, options...)...)
}
