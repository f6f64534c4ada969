package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lvs-director/lvs-director/pkg/status"
)

const noTable = "this daemon is no director: it has no IPVS table (the director of this machine: --socket /run/lvs-director/director.sock)"

// tabling answers a request for the IPVS table, with signs of life while it is read.
func tabling(table func(ctx context.Context, foreign bool) (status.Table, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if table == nil {
			refuse(w, http.StatusNotFound, noTable)
			return
		}
		foreign, err := strconv.ParseBool(r.URL.Query().Get("foreign"))
		if err != nil {
			refuse(w, http.StatusBadRequest, "foreign: want true or false")
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
			refuse(w, http.StatusNotFound, noTable)
			return
		}
		stop := signs(w)
		defer stop() // also when zero panics
		doc, err := zero(r.Context(), r.URL.Query().Get("name"), author(r))
		stop()
		answer(w, doc, err)
	}
}

// comparing answers a request for what a reload would change, likewise.
func comparing(difference func(ctx context.Context, name string, data []byte) (status.Difference, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if difference == nil {
			refuse(w, http.StatusNotFound, noTable)
			return
		}
		data, err := io.ReadAll(r.Body)
		if err != nil {
			refuseBody(w, "read the cluster file", err)
			return
		}
		stop := signs(w)
		defer stop() // also when difference panics
		doc, err := difference(r.Context(), r.URL.Query().Get("name"), data)
		stop()
		answer(w, doc, err)
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

// Zero sets the counters of a virtual server and its real servers to zero; of all of the director's if name is "".
func (c *Client) Zero(ctx context.Context, name string) (status.Zeroed, error) {
	var doc status.Zeroed
	body, err := c.do(ctx, http.MethodPost, "/v1/zero?name="+url.QueryEscape(name)+c.sudo(), nil)
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
