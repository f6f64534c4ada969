// Package event is what happens to a daemon, as values: one Event is one change that somebody may want to be told of. An
// event is a line of JSON in the journal's file, on the socket and in `lvsctl events -o json`; fields and kinds may be added,
// none is renamed.
//
// It keeps no events, reads no clock and tells nobody; package journal does.
package event
