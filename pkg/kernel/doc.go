// Package kernel has the types shared by its subpackages, their users and the pure packages: addresses, their families,
// interfaces, and the errors that callers branch on. It does not access the kernel.
package kernel
