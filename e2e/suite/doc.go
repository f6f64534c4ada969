// Package suite is what `labrun test` knows of scenarios: what they declare of themselves (package lab's Need, Exclusive,
// Long, Longer), which of them a guest runs next, and what is printed of how they ended.
//
// A test binary is planned on the machine: with PlanVariable set, its scenarios run their declarations only, and ParsePlan
// reads those from what `-test.v` prints. A Queue hands the scenarios out to guests, the longest first, as Durations
// remembers them. In each guest a worker (package suite/worker) runs one at a time, told by an Order and answering with
// Messages. A Report prints a line for each as it ends.
//
// The package is pure: it boots nothing, starts nothing and opens no file.
package suite
