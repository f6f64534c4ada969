// Package clusterfile reads a cluster file from disk, and keeps a copy of the last one that a daemon ran. What the file
// means is package config's business. It never writes to the cluster file itself, and it reads regular files only: nothing
// that could keep a daemon waiting.
package clusterfile
