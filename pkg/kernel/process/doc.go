// Package process finds processes by name or command line, and tells when they end and when others begin.
//
// A Table finds the processes that match. It costs little on a machine with thousands of processes: it reads what is new
// at once, and what it knows from time to time, because a process may become another program (execve). AwaitExit learns
// of an end at once, from a pidfd (pidfd_open(2), Linux 5.3). Follow delivers the beginnings of programs from the
// kernel's process connector (drivers/connector/cn_proc.c), which only the first network and process namespaces have.
//
// It counts nothing and decides nothing. A process in a container of this machine is a process of this machine.
package process
