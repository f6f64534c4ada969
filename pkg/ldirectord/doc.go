// Package ldirectord parses ldirectord.cf, the configuration of the Linux Director Daemon (ldirectord.in of ClusterLabs'
// resource-agents), into a tree of statements: a directive and the words of its value. virtual and virtual6 are blocks.
//
// It knows no directives but those two, and opens no files. No bytes make it panic, and its time and memory are limited.
package ldirectord
