// Command demo shows in about a minute what lvs-director does: two directors, two MariaDB servers that replicate from
// each other, one virtual address. It breaks one thing after the other, as people do by hand before they trust a
// cluster, prints a timeline of what happens, and compares what a client measured with what is promised.
//
//	make demo          the demo; exit code 0 only if every expectation was met
//	make demo-shell    the same cluster, with a shell in it
//
// It uses package e2e/lab inside the kernel that labrun boots, and does not run anywhere else. It judges by stock
// tools, the kernel and the client; the product's status is only shown for its reasons.
package main
