// Package sockets has what the sockets of several effects have in common: setting options, binding to an interface, noticing
// that the interface was renamed or replaced, packet filters, and sending despite a full buffer.
//
// It opens no sockets, and knows no protocol. It returns the errors of the kernel, which its callers translate.
package sockets
