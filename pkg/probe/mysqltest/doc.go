// Package mysqltest is a MySQL server for tests that speaks the login and SELECT 1, counts as a real one does, and
// fails on demand: errors 1040, 1129 or any other at each stage, silence, resets, foreign protocols.
//
// It stores nothing, parses no SQL, and knows no TLS. It is never part of a daemon.
package mysqltest
