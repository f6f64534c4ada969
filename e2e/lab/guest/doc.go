// Package guest runs a command on a real Linux kernel that has IPVS, on machines whose own kernel has none.
//
// The kernel is Debian's user-mode-linux: an ordinary program that runs on the machine's own file tree and needs no
// privileges and no virtualisation. The command runs as root and sees that tree under a copy-on-write layer, overlaid
// with the lab's packages (ipvsadm, keepalived, MariaDB, …). Cache fetches those packages once, without installing
// anything.
//
// A guest has its own clock (preload/clock.c), which stops while the machine gives the guest no CPU. So a test in a
// guest measures the programs under test and not the load of the machine.
//
// The second kernel (Stock) is Debian's kernel for PCs, under qemu. Its guests have the packages and the programs to
// run in memory, and also see the directories of the machine that do not belong to packages (/home, /work, …).
//
// The package does not write to the machine: nothing outside the cache directory, and nothing from inside the guest
// except below the directories named by Options.Out and Options.Writable. The read-only root prevents accidents. It is
// not a security boundary, because the command is root in a guest that runs with the rights of its user.
package guest
