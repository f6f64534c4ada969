// Package replication has the positions of a MySQL or MariaDB server in its own binary log and in those of the servers that it
// replicates from, as values, and the rules about them: which GTID sets contain each other, and whether a relay log has been
// applied.
//
// It asks no server: package probe does. It gives no advice on who should be written to.
package replication
