// Package event defines the events of a daemon: an Event is one reportable change. An event is a line of JSON in the
// journal's file, on the socket and in `lvsctl events -o json`; fields and kinds may be added but are never renamed.
//
// It stores no events, reads no clock and notifies no subscribers; package journal does.
package event
