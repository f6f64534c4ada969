// Package connsync decides about the synchronization of connections between directors: how many of the MASTERs' connections
// this director lacks, which of its own it sends again because another director lacks them, and what is wrong.
//
// A director reads its connections at other moments than the others, and reading takes time: Reading says which two can be
// compared. Directors compare numbers of connections in buckets (syncmsg.Counts), not connections. A connection that ended without the
// standby's knowledge hides one that is lacking in the same bucket, until the kernel forgets it.
//
// The package reads no clock and no table, and sends nothing: that is package syncpeers.
package connsync
