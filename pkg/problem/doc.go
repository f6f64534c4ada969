// Package problem defines all problems that a daemon may report: stable codes, each declared once with severity,
// meaning, remedy and the problems that explain it. The severity comes only from the declaration.
//
// It neither detects nor reports problems: package director and the agent detect them, packages status and event
// transport them.
package problem
