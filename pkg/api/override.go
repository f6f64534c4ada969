package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// maxRequest limits the size of the request for an override.
const maxRequest = 64 << 10

// overriding answers a request for an override, with signs of life while a director hands over.
func overriding(override func(context.Context, status.OverrideRequest, string) (status.OverrideResult, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if override == nil {
			http.Error(w, "this daemon is no director: it has no real servers to drain", http.StatusNotFound)
			return
		}
		var request status.OverrideRequest
		data, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
		if err == nil {
			err = json.Unmarshal(data, &request)
		}
		if err != nil {
			http.Error(w, "want an override: "+err.Error(), http.StatusBadRequest)
			return
		}
		stop := signs(w)
		defer stop()
		done, err := override(r.Context(), request, author(r.Context(), r.URL.Query().Get("sudo")))
		stop()
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(done) // fails only if the client has disconnected
	}
}

// Override sends what an operator has decided. sudo is the user who called sudo, or "". It returns when that is in the
// state file and the table follows.
func (c *Client) Override(ctx context.Context, r status.OverrideRequest, sudo string) (status.OverrideResult, error) {
	var done status.OverrideResult
	data, err := json.Marshal(r)
	if err != nil {
		return done, err
	}
	answer, err := c.do(ctx, http.MethodPost, "/v1/override?sudo="+url.QueryEscape(sudo), bytes.NewReader(data))
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return done, fmt.Errorf("socket %s: the daemon's answer is not understood: %w", c.Socket, err)
	}
	return done, nil
}
