// Package epoll wraps epoll(7) for the small servers and clients of the lab, which do not use the Go runtime's poller:
// in a guest every system call saved is time for the director under test. It only waits for descriptors to become
// readable.
package epoll
