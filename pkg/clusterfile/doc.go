// Package clusterfile reads a cluster file from disk and keeps a copy of the last one that a daemon ran. Package config
// parses it. This package never writes to the cluster file itself, and reads only regular files: a pipe or device could
// block a daemon. Only Read has a timeout for a hanging disk; callers of Bytes need their own.
package clusterfile
