// Package mariadb starts MariaDB servers on the lab's hosts, alone or as a replicating pair, with fixed accounts. The
// servers are small, and fast rather than durable. The package does not hide MariaDB: scenarios use SQL.
package mariadb
