// Package config parses the cluster file: YAML bytes in, a validated Config or a list of problems out.
//
// [Parse] reports all problems of a file at once, each with line and column, the path of the key, a message and, where
// it helps, a hint. A Config is complete: all defaults are filled in and all referenced names exist, so its users need
// not validate it again.
//
// It does not guess. An unknown, repeated or reserved key, a duration without a unit, a quoted number and a confusable
// character are errors: a load balancer that silently ignores a line of its configuration does not do what its operator
// expects.
//
// A key is declared once, as a field in the file of its section. The reader, per_node, the effect of a change at a
// reload, the user reference and the JSON Schema are derived from that declaration.
//
// The package is pure: it opens no files (not even the secrets named in the cluster file), resolves no host names and
// reads no clock. Whether an interface exists or a real server is reachable can be decided only on the node.
package config
