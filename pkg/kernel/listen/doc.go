// Package listen lists the sockets of this network namespace that accept TCP connections, SCTP associations or UDP packets of
// anybody. It asks the kernel by sock_diag(7) for listening sockets only: reading /proc/net/tcp would walk the table of all
// connections. It opens and changes no socket.
package listen
