// Package mariadb starts MariaDB servers on the lab's hosts, alone or as a pair
// that replicates, with accounts that every scenario knows. Its servers hold
// little and are quick rather than durable. It refuses to hide that it is
// MariaDB: what a scenario asks of a server, it asks in SQL.
package mariadb
