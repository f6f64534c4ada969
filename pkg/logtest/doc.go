// Package logtest is a log that tests read while several goroutines write it. It knows nothing of what is logged, and no
// program imports it.
package logtest
