package kernel

import "errors"

// What callers branch on, whichever part of the kernel said it. ErrNotPermitted is wrapped with what the process lacks.
var (
	// ErrNotPermitted says that the process lacks a privilege.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNoInterface says that the named interface does not exist, or no longer does.
	ErrNoInterface = errors.New("no such network interface (see: ip link)")
)
