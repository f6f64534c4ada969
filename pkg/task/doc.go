// Package task runs the loops of a daemon: each has a name, a lifecycle and a heartbeat, and reports when it is ready;
// a Group starts and stops them. A loop publishes its state (Published), so that others need not poll it.
//
// It restarts nothing: a loop that fails ends its daemon, and a loop that hangs is left to the watchdog. It depends on
// no particular loop.
package task
