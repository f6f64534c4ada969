// Package notify runs the hooks of a director: one goroutine per instance or group that has any, around a hook.Line, so
// that a hook that hangs delays neither elections nor the hooks of others.
//
// It does not know how a program, a webhook or a mail is run: that is Options.Run.
package notify
