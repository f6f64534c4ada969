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
// The guest has a clock of its own (lab/guest, LeftOut), which stands still while the machine does. Limits are loose all the
// same (within, and nearly for the best of several tries) unless LVS_EXACT=1 asks for the very ones: a guest that gets a
// part of a CPU is slow, and one on the machine's own kernel (LVS_LAB=host) has no such clock.
//
// A file is named after the promise that its scenarios prove, and each scenario names the sentences of the documents that
// make it. The hosts, links and faults are in package lab; cluster_test.go builds the usual cluster, and database_test.go
// one with MariaDB.
package e2e
