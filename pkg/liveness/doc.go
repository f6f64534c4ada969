// Package liveness runs BFD sessions: one loop per neighbour around pkg/bfd, and one link per interface and address
// family, which receives the packets of its sessions.
//
// It does not decide what the loss of a neighbour means, and restarts nothing.
package liveness
