// Package logtest is a log that tests can read while several goroutines write to it. It does not interpret the log, and
// no program imports it.
package logtest
