// Package task runs the loops of a daemon: each has a name, one lifecycle, a heartbeat, and says when it is ready; a
// Group starts and stops them. What a loop has reached it publishes (Published), so that nobody has to poll it.
//
// It restarts nothing: a loop that fails ends its daemon, and what hangs is for the watchdog. It knows no loop.
package task
