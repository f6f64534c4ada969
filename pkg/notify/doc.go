// Package notify runs the hooks of a director: one goroutine per instance or group that has any, around a hook.Line, so that
// a hook that hangs delays neither elections nor the hooks of others. Those of virtual servers and real servers, of which
// thousands may wait at once, are in two queues, and a few of each run at the same time.
//
// It does not know how a program, a webhook or a mail is run: that is Options.Run.
package notify
