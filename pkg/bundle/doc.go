// Package bundle writes what is known of a machine into one compressed archive, and reads it again: named parts, each with
// a limit of its size and its time, so that one that hangs or is endless costs only itself.
//
// It does not know what the parts are, and removes nothing from them: who lists the parts leaves out what is secret.
package bundle
