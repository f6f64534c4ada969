// Package plan computes what a director has to do: from the cluster file, the name of this node, the interfaces and
// addresses of the host and the check results it computes the desired state of every loop (Of), and the steps from one
// plan to another (Transition).
//
// It decides which loop is told what, and in which order. Package vrrp decides who is MASTER, package lvs which real
// server takes connections. It reads no clock, keeps no state and has no side effects.
package plan
