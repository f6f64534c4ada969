// Package ipvsadm parses what ipvsadm -Sn and ipvsadm-save -n print, which is also what ipvsadm -R reads and what scripts with
// commands of ipvsadm(8) have, into a tree of statements: a command, as a block of its options. Both have their long names,
// whichever form the file has.
//
// It runs nothing and knows no variables of a shell. No bytes make it panic, and its time and memory are limited.
package ipvsadm
