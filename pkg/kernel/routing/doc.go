// Package routing adds and removes the routes and policy rules of a daemon. All of them have the protocol number Protocol,
// and it lists and removes only those: it never changes or replaces a route or rule of another program, and never flushes
// a table. Which of those with the number belong to this daemon is decided by its callers.
//
// It looks up no routes for packets; see package route.
package routing
