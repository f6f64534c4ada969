// Package mysqltest is a MySQL server for tests. It implements the login and SELECT 1, maintains the counters of a real
// server, and fails on demand: with errors 1040, 1129 or any other at each stage, without an answer, with resets and
// with other protocols.
//
// It stores nothing, parses no SQL, and does not support TLS. It is never part of a daemon.
package mysqltest
