// Package host is the director's Kernel on this machine: it puts the packages under pkg/kernel and pkg/probe together. It
// decides nothing.
package host
