// Package config reads the cluster file: YAML bytes in, a validated Config or a list of problems out.
//
// [Parse] reports every problem of a file at once, each with its line and column, the path of the key, what is wrong and,
// where one helps, a hint. What it accepts is complete: every default is filled in and every name that is referred to
// exists, so that nothing downstream has to check a Config again.
//
// It refuses to guess. An unknown, repeated or reserved key, a duration without a unit, a number in quotes and a
// look-alike character are errors and never ignored: a load balancer that silently drops a line of its configuration
// does something else than its operator believes.
//
// A key is declared once, as a field in the file of its section. The reader, per_node, what a change means at a reload, the
// reference for users and the JSON Schema come from there.
//
// It is pure: it opens no file (not even the secrets that the cluster file names), resolves no host name and reads no
// clock. Whether an interface exists, or a real server is in reach, only the node can know.
package config
