// Package api is the daemons' socket: JSON over HTTP over a Unix socket, and the client used by lvsctl. It transports
// the documents of package status and does not interpret them.
//
//	GET  /v1/status   the daemon's status document
//	GET  /v1/vrrp/record?instance=NAME   what a VRRP instance did last, or all of them without a name, as text
//	GET  /v1/events?since=TIME   the events since a time (RFC 3339), or all of them without one, a line of JSON each
//	GET  /v1/events?since=TIME&follow=true   the same, and then each event as it comes; empty lines in between are a sign of life
//	POST /v1/reload   reads the cluster file again; 422 and the problems, one a line, when it does not validate
package api
