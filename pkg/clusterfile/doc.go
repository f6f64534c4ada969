// Package clusterfile reads a cluster file from disk. What the file means is package config's business. It writes nothing,
// and it reads regular files only: nothing that could keep a daemon waiting.
package clusterfile
