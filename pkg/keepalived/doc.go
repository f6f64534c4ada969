// Package keepalived parses keepalived.conf(5) into a tree of statements, each word of which knows its file, line and
// column. It follows the parser of keepalived 2.2.7: conditions (@host), definitions ($NAME=), sequences (~SEQ, ~LST),
// include, comments, quotes. It knows no keywords but those that no block may contain, by which it finds a missing brace.
//
// It opens no files: the caller provides what include names. No bytes make it panic, and its time and memory are
// limited by the constants of this package.
package keepalived
