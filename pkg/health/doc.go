// Package health turns the results of checks into verdicts: it implements rise and fall, the handling of inconclusive
// results, and the sentence that explains a verdict to an operator.
//
// It is pure: the caller supplies the time, runs the checks and logs. It knows neither protocols nor weights; package
// lvs decides what a verdict means for the table of virtual servers.
package health
