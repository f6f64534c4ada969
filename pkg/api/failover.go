package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// failingOver answers a request for a planned handover, with signs of life until it has ended.
func failingOver(failOver func(ctx context.Context, name string, release bool, author string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if failOver == nil {
			refuse(w, http.StatusNotFound, "this daemon is no director: it has no VRRP instances")
			return
		}
		name := r.URL.Query().Get("name")
		release, err := strconv.ParseBool(r.URL.Query().Get("release"))
		if err != nil || name == "" {
			refuse(w, http.StatusBadRequest, "want a name and release")
			return
		}
		stop := signs(w)
		defer stop() // also when failOver panics
		done, err := failOver(r.Context(), name, release, author(r))
		stop()
		if err != nil {
			refuse(w, http.StatusConflict, err.Error())
			return
		}
		answerText(w, done)
	}
}

// FailOver makes the director hand an instance or sync group over, or take part in its election again, and waits until that is
// done. It returns a sentence that says what has happened.
func (c *Client) FailOver(ctx context.Context, name string, release bool) (string, error) {
	query := url.Values{"name": {name}, "release": {strconv.FormatBool(release)}}
	done, err := c.do(ctx, http.MethodPost, "/v1/failover?"+query.Encode()+c.sudo(), nil)
	return string(done), err
}
