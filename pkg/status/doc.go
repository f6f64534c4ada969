// Package status holds the words in which the daemons describe themselves: the documents behind `lvsctl status -o json`.
// They are a contract with users' scripts: fields may be added, none is renamed. The package knows no daemon and reads
// no clock.
package status
