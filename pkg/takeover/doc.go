// Package takeover writes down the positions of a database when an instance becomes MASTER: a record for those who find out
// later what the former MASTER had written. It asks the databases all the time, so that it has positions even if the database
// does not answer at the moment of the take-over. The record waits for nothing, and nothing waits for it.
//
// A Gate makes the VIPs of an instance wait until its database has applied its relay log, if the cluster file says so. The
// election does not wait.
//
// The package decides nothing about replication and changes no database.
package takeover
