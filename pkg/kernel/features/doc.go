// Package features finds out which features this kernel has: by asking IPVS, and by what /proc, /sys, /lib/modules and the
// configuration of the kernel say.
//
// It changes nothing and loads no module but ip_vs. It does not decide who needs a feature; see package plan. What nothing tells
// is kernel.Unknown, never a guess by the kernel's version.
package features
