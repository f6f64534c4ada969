// Package daemon is the common frame of both daemons: flags, log, signals, socket, systemd notification, exit codes. It
// knows nothing about VIPs or tables.
package daemon
