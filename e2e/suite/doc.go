// Package suite is the core of `labrun test`: what scenarios declare (with package lab's Need, Exclusive, Long, HasLongForm,
// AnyKernel), which scenario a guest runs next, and the report.
//
// A test binary is planned on the host machine: with PlanVariable set, its scenarios run only their declarations, and
// ParsePlan reads these from the output of `-test.v`. A Queue gives the scenarios to guests, the longest first
// according to Durations. In each guest a worker (package suite/worker) runs one at a time: it receives Orders and
// sends Messages. A Report prints a line for each scenario when it ends.
//
// The package is pure: it boots no guests, starts no processes and opens no files.
package suite
