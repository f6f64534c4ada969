// Package sockdiag lists the sockets of this network namespace by sock_diag(7): those that accept TCP connections, SCTP
// associations or UDP packets of anybody, and the TCP connections of one local address, which it can also end. The kernel
// selects the sockets: reading /proc/net/tcp would walk the table of all connections. It opens no socket of its users'
// protocols.
package sockdiag
