// Package e2e holds the scenarios: the daemons as they are shipped, in a kernel with IPVS, between real links, against
// real servers. A scenario judges by stock tools (ip, ipvsadm, tcpdump, mariadb) and by what a client measures, never by
// the product's own status alone.
//
//	make e2e                         all scenarios, in a kernel that the runner boots
//	make e2e RUN=TestSeed001         some
//	make e2e RUN=TestStall LONG=1    in the long form
//
// A scenario says in its first lines what it needs (lab.Need, lab.Exclusive, lab.Long, lab.Longer), and `labrun test` gives
// it a guest that has that.
//
// The guest has a clock of its own (lab/guest): its time goes by with the CPU time that it uses. So a limit is the one that is
// promised, stated once, on every machine.
//
// A file is named after the promise that its scenarios prove, and each scenario names the sentences of the documents that
// make it. The hosts, links and faults are in package lab; cluster_test.go builds the usual cluster, and database_test.go
// one with MariaDB.
package e2e
