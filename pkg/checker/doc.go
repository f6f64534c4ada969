// Package checker makes the health checks of a director, each at its interval, and publishes the verdicts.
//
// The checks to make are set declaratively (Set). Identical checks are probed once, however many virtual servers use
// them. The start of a thousand checks is spread, the number of starting probes is limited, and a probe that does not
// end is abandoned. One goroutine (Run) owns all state and a heap of due times; a probe has a goroutine only while it
// runs, and a connection that is kept beside a check (Keep) has one.
//
// It does not know what verdicts are used for: tables, weights and elections are the business of other packages. It
// does not judge single results, nor what the end of a kept connection means: package health does.
package checker
