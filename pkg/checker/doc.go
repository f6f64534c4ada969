// Package checker makes the health checks of a director, each at its interval, and tells what they amount to.
//
// It is told declaratively what to check (Set), probes what is identical once however many virtual servers ask for it,
// spreads the start of a thousand checks, caps what runs at the same time, and abandons a probe that does not end. One
// goroutine (Run) owns all state and a heap of due times; a probe has a goroutine only while it runs.
//
// It does not know what a verdict is good for: tables, weights and elections are other people's. It keeps no
// connections, and it decides nothing about a single result: that is package health.
package checker
