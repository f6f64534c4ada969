// Package kernel has the values that the packages under it, their users and the pure packages share: addresses,
// their families and interfaces as the kernel describes them, and the errors that callers branch on. It touches no kernel.
package kernel
