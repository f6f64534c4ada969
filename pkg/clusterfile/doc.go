// Package clusterfile reads a cluster file from disk, and keeps a copy of the last one that a daemon ran. What the file
// means is package config's business. It never writes to the cluster file itself, and it reads regular files only: no pipe
// or device that would keep a daemon waiting. Only Read has a deadline for a disk that hangs; who calls Bytes has his own.
package clusterfile
