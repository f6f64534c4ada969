package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/lvs-director/lvs-director/pkg/status"
)

const noChecks = "this daemon is no director: it makes no checks (the director of this machine: --socket /run/lvs-director/director.sock)"

// explaining answers a request about a real server, "SERVICE/SERVER", with signs of life while it takes.
func explaining[D any](explain func(ctx context.Context, name string) (D, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if explain == nil {
			refuse(w, http.StatusNotFound, noChecks)
			return
		}
		stop := signs(w)
		defer stop() // also when explain panics
		doc, err := explain(r.Context(), r.URL.Query().Get("server"))
		stop()
		answer(w, doc, err)
	}
}

// Explain returns why a real server, "SERVICE/SERVER", is in or out.
func (c *Client) Explain(ctx context.Context, name string) (doc status.Explanation, err error) {
	body, err := c.do(ctx, http.MethodGet, "/v1/explain?server="+url.QueryEscape(name), nil)
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	return doc, err
}

// Probe makes the checks of a real server once, without effect on its state.
func (c *Client) Probe(ctx context.Context, name string) (doc []status.Probe, err error) {
	body, err := c.do(ctx, http.MethodPost, "/v1/probe?server="+url.QueryEscape(name), nil)
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	return doc, err
}
