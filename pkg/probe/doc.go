// Package probe makes single checks of servers: one file and one function for each kind of check that a cluster file knows.
//
// A probe connects, asks, closes and says what it saw in a health.Result. The deadline comes by context only. A probe
// keeps no connection, no state and no log, never retries, and never judges: whether a server is up is decided in
// package health. It tells evidence about the server from trouble of its own: a full file table here or a wrong
// password says nothing about the server and is of class Unknown.
package probe
