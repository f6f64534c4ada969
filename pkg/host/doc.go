// Package host implements the director's Kernel on this host with the packages under pkg/kernel and pkg/probe. It makes
// no decisions.
package host
