// Package journal keeps the events of a daemon: the newest in memory, and in a file of the state directory, so that they
// are there after a restart. Whoever wants to know of events subscribes, and has a bounded queue of its own.
//
// Recording an event waits for nobody: neither for a subscriber nor for the disk. A queue that is full loses events, and
// its reader is told how many. The file is written by a task of its own (Keeper); a disk that is full, or does not answer,
// costs the file and nothing else. The package does not know what an event means, and makes none but event.Lost.
package journal
