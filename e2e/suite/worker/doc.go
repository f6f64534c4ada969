// Package worker runs jobs in a guest, one at a time, as the host orders, and sees what each left behind. It cleans nothing
// up but the directory of temporary files: a guest in which something is left is replaced by the host.
package worker
