// Package dirtest gives tests directories in memory. It is for state directories of daemons on the machine's own kernel: the
// state file waits a second for the disk, and the disk of a busy machine may take longer.
package dirtest
