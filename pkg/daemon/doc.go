// Package daemon is what both daemons have around their loops: flags, the log, signals, the socket, word to systemd, exit
// codes. It knows nothing of VIPs or tables.
package daemon
