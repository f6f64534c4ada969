// Package listen lists the TCP sockets of this network namespace that accept connections. It asks the kernel by
// sock_diag(7) for listening sockets only: reading /proc/net/tcp would walk the table of all connections. It opens and
// changes no socket.
package listen
