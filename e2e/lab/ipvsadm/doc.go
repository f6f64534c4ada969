// Package ipvsadm reads a host's IPVS table with ipvsadm(8). It does not change the table; scenarios run ipvsadm for
// that.
package ipvsadm
