// Package lvs holds virtual servers as values: what the IPVS table shall be (Desired), which steps lead there from what
// it is (Diff), and a model of what the kernel makes of those steps (Apply).
//
// The rules that put a real server into a pool, with which weight, stand alone in Places.
//
// It refuses to touch a kernel, a clock or a log: package kernel/ipvs carries the steps out.
package lvs
