// Package api is the daemons' socket: JSON over HTTP over a unix socket, and the client that lvsctl uses. It carries the
// documents of package status and knows nothing of what they mean.
//
//	GET  /v1/status   the daemon's status document
//	GET  /v1/vrrp/record?instance=NAME   what a VRRP instance did last, or all of them without a name, as text
//	POST /v1/reload   reads the cluster file again; 422 and the problems, one a line, when it does not validate
package api
