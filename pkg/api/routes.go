package api

import (
	"context"
	_ "embed"
	"net/http"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/event"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// role is what a client must be allowed to do.
type role string

const (
	read   role = "read"
	change role = "change"
)

// route is a request that daemons answer.
type route struct {
	id           string // operationId in the description
	method, path string
	role         role
	summary      string
	parameters   []parameter
	body         any   // a value of the type of the request's body: JSON; a string: text; nil: it has none
	maxBody      int64 // in bytes; 0: maxBody
	answer       any   // the same of the answer's body. A struct named alternatives is one of its fields
	status       int   // of the answer; 0: 200
	directorOnly bool
	stream       bool // the answer is also offered as server-sent events
}

// parameter is a parameter of a request, in its query or header.
type parameter struct {
	name, in, doc string
	required      bool
	example       any // a value of its type
}

func query(name, doc string, example any) parameter {
	return parameter{name: name, in: "query", doc: doc, example: example}
}

func required(p parameter) parameter {
	p.required = true
	return p
}

// alternatives are documents of which an answer is one.
type alternatives []any

// description is the OpenAPI description of the routes.
//
//go:embed openapi.json
var description []byte

var sudo = query("sudo", "the user who has called sudo, for the event; only root can say this", "alice")

// routes are all routes, in the order of the description.
func routes() []route {
	server := required(query("server", "virtual server and real server", "mysql/mysql1"))
	return []route{
		{id: "status", method: http.MethodGet, path: "/v1/status", role: read, summary: "All states with their reasons", answer: alternatives{status.Director{}, status.Agent{}}},
		{
			id: "events", method: http.MethodGet, path: "/v1/events", role: read, stream: true, answer: event.Event{},
			summary: "Past events, one line of JSON each; with follow, or as server-sent events, also each new one as it comes. Empty lines and comments in between are signs of life",
			parameters: []parameter{
				query("since", "only events from this time on (RFC 3339)", "2026-11-21T14:50:23Z"),
				query("follow", "whether new events follow; server-sent events always do", true),
				{name: "Last-Event-ID", in: "header", doc: "server-sent events: only events after the one with this id", example: "1763736623000000000-8c9b1f2e"},
			},
		},
		{id: "live", method: http.MethodGet, path: "/v1/live", role: read, summary: "The number of loops of the daemon; 503 if one of them makes no progress", answer: 0},
		{
			id: "record", method: http.MethodGet, path: "/v1/vrrp/record", role: read, summary: "What a VRRP instance has done last, or all of them", answer: "",
			parameters: []parameter{query("instance", "its name; without it all instances", "mysql")},
		},
		{
			id: "table", method: http.MethodGet, path: "/v1/table", role: read, summary: "The IPVS table", answer: status.Table{}, directorOnly: true,
			parameters: []parameter{required(query("foreign", "only what is not the director's", false))},
		},
		{id: "explain", method: http.MethodGet, path: "/v1/explain", role: read, summary: "Why a real server is in or out", answer: status.Explanation{}, directorOnly: true, parameters: []parameter{server}},
		{id: "probe", method: http.MethodPost, path: "/v1/probe", role: read, summary: "Makes the checks of a real server once, without effect on its state", answer: []status.Probe{}, directorOnly: true, parameters: []parameter{server}},
		{
			id: "diff", method: http.MethodPost, path: "/v1/diff", role: read, summary: "What a reload of a cluster file would change", body: "", answer: status.Difference{}, directorOnly: true,
			maxBody:    config.MaxBytes + 1, // the validation says that it is too large
			parameters: []parameter{query("name", "the name of the file in the positions of problems; without it the body is ignored and the daemon's own file is read", "cluster.yaml")},
		},
		{
			id: "reload", method: http.MethodPost, path: "/v1/reload", role: change, summary: "Reads the cluster file again", status: http.StatusNoContent,
			parameters: []parameter{query("force", "also if most real servers are removed", false), sudo},
		},
		{
			id: "failover", method: http.MethodPost, path: "/v1/failover", role: change, summary: "Hands a VRRP instance over to another director, and waits until that is done", answer: "", directorOnly: true,
			parameters: []parameter{required(query("name", "an instance or sync group", "mysql")), required(query("release", "end what an earlier handover has left: take part in the election again", false)), sudo},
		},
		{
			id: "override", method: http.MethodPost, path: "/v1/override", role: change, summary: "Drains, disables, weighs or enables a real server or the director", body: status.OverrideRequest{}, answer: status.OverrideResult{}, directorOnly: true,
			parameters: []parameter{sudo},
		},
		{
			id: "zero", method: http.MethodPost, path: "/v1/zero", role: change, summary: "Sets counters of the IPVS table to zero", answer: status.Zeroed{}, directorOnly: true,
			parameters: []parameter{query("name", "a virtual server; without it all", "mysql"), sudo},
		},
		{id: "openapi", method: http.MethodGet, path: "/v1/openapi.json", role: read, summary: "This description", answer: map[string]any{}},
	}
}

// handlers returns the handler of each route by its id.
func (s *server) handlers(ctx context.Context) map[string]http.Handler {
	h := s.h
	return map[string]http.Handler{
		"status":   http.HandlerFunc(s.status),
		"events":   newStream(ctx, h.Events, s.writeWithin),
		"live":     living(h.Live),
		"record":   http.HandlerFunc(s.record),
		"table":    tabling(h.Table),
		"explain":  explaining(h.Explain),
		"probe":    explaining(h.Probe),
		"diff":     comparing(h.Difference),
		"reload":   reloading(h.Reload),
		"failover": failingOver(h.FailOver),
		"override": overriding(h.Override),
		"zero":     zeroing(h.Zero),
		"openapi": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(description) // fails only if the client has disconnected
		}),
	}
}
