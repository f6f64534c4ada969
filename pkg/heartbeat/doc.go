// Package heartbeat monitors that loops make progress: each loop sends a heartbeat once per iteration, and a Monitor
// measures how long ago the last one was.
//
// Only time in which the monitoring process itself ran is counted, so that a stopped process or a suspended host makes
// no loop look stalled. The package starts no goroutine and acts on nothing: the caller decides what a stalled loop means.
package heartbeat
