// Command demo shows what lvs-director is for, in about a minute: two directors, two MariaDB servers that replicate from
// each other, one virtual address. It tells what happens as a timeline, then breaks one thing after the other, as people
// do by hand before they trust a cluster, and holds what a client measured against what was promised.
//
//	make demo          the show; exit code 0 only if every expectation held
//	make demo-shell    the same cluster and a shell in it
//
// It runs in the lab of package e2e/lab, inside the kernel that labrun boots, and refuses to run anywhere else. What it
// judges by are the stock tools and the client; the product's own status only explains.
package main
