// Package health turns the results of checks into verdicts: rise and fall, what a result that says nothing about the
// server is worth, and the sentence that tells an operator why.
//
// It is pure: the caller brings the time, runs the checks and logs. It knows neither protocols nor weights; what a
// verdict means for the table of virtual servers is decided in package lvs.
package health
