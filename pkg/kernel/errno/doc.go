// Package errno translates the errors of system calls and netlink exchanges that mean the same in every effect into the
// errors of package kernel. What an errno means to one kind of socket or table only is left to its package.
package errno
