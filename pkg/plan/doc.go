// Package plan is what a director has to do, as values: from the cluster file, the name of this node, the interfaces and
// addresses there are and what the checks say it computes the desired state of every loop (Of), and the steps in which a
// director gets from one plan to another (Transition).
//
// It decides who is to be told what, and in which order. Who is MASTER is package vrrp's decision, which real server
// takes connections package lvs's. It reads no clock, keeps no state and touches nothing.
package plan
