// Package hook decides when the hooks of a cluster file run: programs, webhooks and mails for the changes of a VRRP
// instance, a sync group, a real server or a virtual server. It is pure: changes and the time in, runs out.
//
// It does not run anything, and knows no cluster file; package notify does both.
package hook
