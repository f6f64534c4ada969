// Package e2e holds the scenarios: the daemons as they are shipped, in a kernel with IPVS, between real links, against
// real servers. A scenario judges by stock tools (ip, ipvsadm, tcpdump, mariadb) and by what a client measures, never by
// the product's own status alone.
//
//	make e2e                         all scenarios, in a kernel that the runner boots
//	make e2e RUN=TestSeed001         some
//
// The hosts, links and faults are in package lab; cluster_test.go builds the usual cluster.
package e2e
