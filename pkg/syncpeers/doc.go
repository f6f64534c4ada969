// Package syncpeers is the loop that tells the other directors how many connections this one has, hears what they have, and
// sends connections again that another one lacks; pkg/connsync decides.
//
// It does not start the kernel's synchronization daemons, and adds no connections to the table: the kernel's backup daemon
// does, with what the others send.
package syncpeers
