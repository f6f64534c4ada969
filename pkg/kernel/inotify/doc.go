// Package inotify tells when an entry of a directory changes (inotify(7)): when a file is written, replaced by another one
// or deleted.
//
// It reads no file. It does not see changes that another machine makes on a network file system, nor those of a file to
// which a symbolic link in the directory leads: so its users also look from time to time.
package inotify
