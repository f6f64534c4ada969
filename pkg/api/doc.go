// Package api is the daemons' socket: JSON over HTTP over a Unix socket, and the client used by lvsctl. It transports
// the documents of package status and does not interpret them.
//
// The requests are in routes; openapi.json describes them with the types of their documents. It is made by
// go test ./pkg/api -run TestOpenAPI -update, with the comments of the types. Whoever can open the socket may read; changes are
// for root and the members of AdminGroup.
package api
