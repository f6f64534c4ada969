// Package localsock tells who is at the other end of a Unix socket, and lets a second group open one.
package localsock
