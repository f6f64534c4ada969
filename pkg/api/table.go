package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/status"
)

const noTable = "this daemon is no director: it has no IPVS table (the director of this machine: --socket /run/lvs-director/director.sock)"

// tabling answers a request for the IPVS table, with signs of life while it is read.
func tabling(table func(ctx context.Context, foreign bool) (status.Table, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if table == nil {
			http.Error(w, noTable, http.StatusNotFound)
			return
		}
		foreign, err := strconv.ParseBool(r.URL.Query().Get("foreign"))
		if err != nil {
			http.Error(w, "want foreign", http.StatusBadRequest)
			return
		}
		stop := signs(w)
		defer stop() // also when table panics
		doc, err := table(r.Context(), foreign)
		stop()
		answer(w, doc, err)
	}
}

// zeroing answers a request to set counters to zero.
func zeroing(zero func(ctx context.Context, name, author string) (status.Zeroed, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if zero == nil {
			http.Error(w, noTable, http.StatusNotFound)
			return
		}
		stop := signs(w)
		defer stop() // also when zero panics
		doc, err := zero(r.Context(), r.URL.Query().Get("name"), author(r.Context(), r.URL.Query().Get("sudo")))
		stop()
		answer(w, doc, err)
	}
}

// comparing answers a request for what a reload would change, likewise.
func comparing(difference func(ctx context.Context, name string, data []byte) (status.Difference, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if difference == nil {
			http.Error(w, noTable, http.StatusNotFound)
			return
		}
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, config.MaxBytes+1)) // the validation says that it is too large
		if err != nil {
			http.Error(w, "read the cluster file: "+err.Error(), http.StatusBadRequest)
			return
		}
		stop := signs(w)
		defer stop() // also when difference panics
		doc, err := difference(r.Context(), r.URL.Query().Get("name"), data)
		stop()
		answer(w, doc, err)
	}
}

// answer sends a document or an error.
func answer(w http.ResponseWriter, doc any, err error) {
	switch {
	case clusterfile.Refused(err):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(doc) // fails only if the client has disconnected
	}
}

// Table returns the IPVS table of the director's machine; with foreign only what is not the director's.
func (c *Client) Table(ctx context.Context, foreign bool) (status.Table, error) {
	var doc status.Table
	body, err := c.do(ctx, http.MethodGet, "/v1/table?foreign="+strconv.FormatBool(foreign), nil)
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	return doc, err
}

// Zero sets the counters of a virtual server and its real servers to zero; of all of the director's if name is "". sudo is
// the user who called sudo, or "".
func (c *Client) Zero(ctx context.Context, name, sudo string) (status.Zeroed, error) {
	var doc status.Zeroed
	body, err := c.do(ctx, http.MethodPost, "/v1/zero?name="+url.QueryEscape(name)+"&sudo="+url.QueryEscape(sudo), nil)
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	return doc, err
}

// Difference returns what a reload of a cluster file would change in the IPVS table. name is for the positions of problems;
// "" stands for the daemon's own file. A file that does not validate is an InvalidError.
func (c *Client) Difference(ctx context.Context, name string, data []byte) (status.Difference, error) {
	var doc status.Difference
	body, err := c.do(ctx, http.MethodPost, "/v1/diff?name="+url.QueryEscape(name), bytes.NewReader(data))
	if err == nil {
		err = json.Unmarshal(body, &doc)
	}
	return doc, err
}
