// Package problem is everything that a daemon may report to be wrong: stable codes, each declared once with its severity,
// what it means, what to do, and which other problems explain it. Severity comes from the declaration and from nowhere else.
//
// It finds no problems and tells nobody of them: package director and the agent find them, packages status and event carry
// them.
package problem
