// Package tracking watches what tracks without a check are about: the carrier of interfaces, processes and the numbers in
// files. It has one loop for each kind, which publishes the verdicts of its tracks.
//
// A loop never waits for a disk or for the memory of another process: reading has its own goroutine, of which there is
// one per file and one for all processes, and while that does not return, the verdicts are kept and say so.
//
// It does not decide what a verdict means for an election.
package tracking
