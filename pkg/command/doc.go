// Package command runs programs that an administrator names in the cluster file, without risk for the daemon that runs
// them.
//
// A daemon that starts a program stops for the time of vfork until the kernel has loaded it: all its threads wait, and
// with them the election, for as long as a disk or NFS server takes. Therefore the daemon only starts itself, which is in
// memory, and that process does everything that may take long or fail: it looks up the user, judges the path, changes
// the user and becomes the program (Main).
//
// A program gets an empty standard input, no other descriptor, its own session and a small environment. When its time is
// over it is killed with its children. A process that not even SIGKILL ends, because it waits for a device, is left
// behind, and no second one is started beside it. Nothing is passed to a shell.
//
// It does not know what the programs are for, and judges no exit status.
package command
