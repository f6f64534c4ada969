// Package override models what operators have decided about real servers at run time: that one is drained, disabled or
// has another weight, who decided that, why, and until when.
//
// Overrides are values with a logical clock. A Set has the last decision about each target, so that the sets of two
// directors can be merged in any order and any number of times without losing one. The package reads no clock and
// changes no table: package lvs decides what an override means for an entry.
package override
