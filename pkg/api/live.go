package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
)

// living answers whether all loops run. It asks no peer and no server, and waits for nothing.
func living(loops func() (count int, stalled []string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if loops == nil {
			http.NotFound(w, r) // as daemons of older versions
			return
		}
		count, stalled := loops()
		if len(stalled) > 0 {
			refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%s made no progress for %s (a bug, or a kernel that does not answer; a restart helps)", strings.Join(stalled, " and "), heartbeat.StalledAfter))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(count) // fails only if the client has disconnected
	}
}

// Live returns how many loops the daemon has, all of which run; an error if one does not, or the daemon does not answer.
func (c *Client) Live(ctx context.Context) (loops int, err error) {
	body, err := c.do(ctx, http.MethodGet, "/v1/live", nil)
	switch {
	case err != nil && err.Error() == "404 page not found": // http.NotFound
		return 0, errors.New("the daemon is of an older version than lvsctl: restart it")
	case err != nil:
		return 0, err
	}
	if err := json.Unmarshal(body, &loops); err != nil {
		return 0, errors.New("the daemon's answer is not understood: " + err.Error())
	}
	return loops, nil
}
