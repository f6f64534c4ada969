// Package e2e holds the scenarios. They run the daemons as shipped, in a kernel with IPVS, over real links and against
// real servers. A scenario judges by stock tools (ip, ipvsadm, tcpdump, mariadb) and by what a client measures, never
// by the product's own status alone.
//
//	make e2e                         all scenarios, in a kernel that the runner boots
//	make e2e RUN=TestSeed001         one of them
//	make e2e RUN=TestStall LONG=1    in the long form
//
// A scenario declares in its first lines what it needs (lab.Need, lab.Exclusive, lab.Long, lab.Release, lab.HasLongForm), and `labrun
// test` runs it in a guest that provides it.
//
// The guest has a virtual clock (lab/guest) that advances with the CPU time that the guest uses. A limit is therefore
// the promised one, stated once, and valid on every machine.
//
// A file is named after the promise that its scenarios prove, and the comment on each scenario quotes the sentences of
// the documentation that it proves. Hosts, links and faults are in package lab; cluster_test.go builds the usual
// cluster, and database_test.go one with MariaDB.
package e2e
