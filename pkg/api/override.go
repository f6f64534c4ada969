package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// overriding answers a request for an override, with signs of life while a director hands over.
func overriding(override func(context.Context, status.OverrideRequest, string) (status.OverrideResult, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if override == nil {
			refuse(w, http.StatusNotFound, "this daemon is no director: it has no real servers to drain")
			return
		}
		var request status.OverrideRequest
		data, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(data, &request)
		}
		if err != nil {
			refuseBody(w, "want an override", err)
			return
		}
		stop := signs(w)
		defer stop()
		done, err := override(r.Context(), request, author(r))
		stop()
		if err != nil {
			refuse(w, http.StatusConflict, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(done) // fails only if the client has disconnected
	}
}

// Override sends what an operator has decided. It returns when that is in the state file and the table follows.
func (c *Client) Override(ctx context.Context, r status.OverrideRequest) (status.OverrideResult, error) {
	var done status.OverrideResult
	data, err := json.Marshal(r)
	if err != nil {
		return done, err
	}
	answer, err := c.do(ctx, http.MethodPost, "/v1/override?"+c.sudo(), bytes.NewReader(data))
	if err != nil {
		return done, err
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return done, fmt.Errorf("socket %s: the daemon's answer is not understood: %w", c.Socket, err)
	}
	return done, nil
}
