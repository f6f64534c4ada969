// Package journal keeps the events of a daemon: the newest in memory, and in a file of the state directory so that they
// survive a restart. Each subscriber has its own bounded queue.
//
// Recording an event never waits for a subscriber or the disk. A full queue drops events, and its reader gets their
// number. A separate task (Keeper) writes the file; a full or hanging disk affects only the file. The package does not
// interpret events and creates none except event.Lost.
package journal
