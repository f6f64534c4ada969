// Package worker runs jobs in a guest, one at a time, as ordered by the host, and reports what each left behind. It
// removes only the directory for temporary files: the host replaces a guest in which something else was left behind.
package worker
