// Package rolelock prevents two daemons of the same role from running in one network namespace. Each would undo what the
// other puts into the kernel, and their state directories, which have locks as well, may differ.
//
// The lock is a listening Unix socket with an abstract name: such names belong to a network namespace (unix(7)) and
// disappear with the process. It protects against mistakes, and against other users who take the name; root can do what it
// likes.
package rolelock
