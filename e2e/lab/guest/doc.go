// Package guest runs a command on a real Linux kernel that has IPVS, on
// machines whose own kernel has none.
//
// The kernel is Debian's user-mode-linux: an ordinary program, started on the
// machine's own file tree, which needs no privilege and no virtualisation. The
// command sees that tree under a copy-on-write layer, with the lab's packages
// (ipvsadm, keepalived, MariaDB, …) laid over it, and is root there. Cache
// fetches those packages once, without installing anything.
//
// A guest's clock is its own (preload/clock.c): it stands still while the
// machine gives the guest no CPU, so that a test in it measures what it tests.
//
// The second kernel (Stock) is Debian's own for PCs, under qemu. Its guests have the packages, and the programs to run, in
// their memory, and see the directories of the machine that packages have no part in (/home, /work, …) beside them.
//
// The package refuses to write to the machine: nothing outside the cache
// directory, and nothing from inside the guest except below the directories
// named by Options.Out and Options.Writable. The read-only root guards against
// accidents; it is no security boundary, because the command is root in a guest
// that runs with the rights of its user.
package guest
