// Package conftree is a configuration file of another program as a tree of statements, each word of which knows its file,
// line and column, with what became of each line of the file. The parsers of packages keepalived, ldirectord and ipvsadm make
// such trees, and package migration reads them.
//
// It parses nothing, and knows no keywords.
package conftree
