// Package priority says what tracks mean for an instance: the priority with which it takes part in the election, or that
// it cannot. It is pure: it neither finds out the state of a track nor runs an election.
package priority
