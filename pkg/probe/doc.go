// Package probe makes single checks of servers: one file and one function for each kind of check in the cluster file, and
// for the tracks that are checks. Router is no check: it finds out whether a router is on the way to a server.
//
// A probe connects, sends a request, closes and returns a health.Result. Its only deadline is that of the context. A
// probe keeps no connection, which only Hold does, no state and no log, never retries, and does not decide whether a server is up: package
// health does. It distinguishes evidence about the server from local failures: a full file table here or a wrong
// password is no evidence about the server and has the class Unknown.
package probe
