// Package resident keeps the code of this program in memory, and the constants that it has used. They are pages of its file: when
// memory is short the kernel drops them, and the program waits for the disk each time that it comes to one.
//
// It does not lock memory that the program allocates: without swap the kernel cannot take that away, and with swap
// `MemorySwapMax=0` in the unit keeps it (mlockall would also keep what Go has freed).
package resident
