package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// failingOver answers a request for a planned handover, with signs of life until it has ended.
func failingOver(failOver func(ctx context.Context, name string, release bool) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if failOver == nil {
			http.Error(w, "this daemon is no director: it has no VRRP instances", http.StatusNotFound)
			return
		}
		name := r.URL.Query().Get("name")
		release, err := strconv.ParseBool(r.URL.Query().Get("release"))
		if err != nil || name == "" {
			http.Error(w, "want a name and release", http.StatusBadRequest)
			return
		}
		stop := signs(w)
		defer stop() // also when failOver panics
		done, err := failOver(r.Context(), name, release)
		stop()
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, done) // fails only if the client has disconnected
	}
}

// FailOver makes the director hand an instance or sync group over, or take part in its election again, and waits until that is
// done. It returns a sentence that says what has happened.
func (c *Client) FailOver(ctx context.Context, name string, release bool) (string, error) {
	query := url.Values{"name": {name}, "release": {strconv.FormatBool(release)}}
	done, err := c.do(ctx, http.MethodPost, "/v1/failover?"+query.Encode(), nil)
	return string(done), err
}
