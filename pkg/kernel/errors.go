package kernel

import "errors"

// Errors that callers branch on, from any part of the kernel. ErrNotPermitted is wrapped with the missing privilege.
var (
	// ErrNotPermitted: the process lacks a privilege.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNoInterface: the named interface does not exist, or no longer exists.
	ErrNoInterface = errors.New("no such network interface (see: ip link)")
)
