// Package ipvsadm reads a host's IPVS table as ipvsadm(8) prints it. It refuses
// to change the table: a scenario that wants to runs ipvsadm itself.
package ipvsadm
