// Package epoll is epoll(7) for the small servers and clients of the lab that
// do without the Go runtime's poller: in the guest every system call saved is
// time for the director under test. It refuses to wait for anything but
// something to read.
package epoll
