// Package migration translates configurations of keepalived and ldirectord, and tables that ipvsadm has saved, into a
// cluster file, and says for every line of the source what became of it. It guesses nothing: what the cluster file cannot
// express is refused with what to do, and what the source does not say is listed.
//
// It reads and writes no files, and does not validate the result: package config does that.
package migration
