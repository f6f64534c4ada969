package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
)

const problemType = "application/problem+json"

// Refusal is the body of an answer that is an error (RFC 9457).
type Refusal struct {
	// Type is always about:blank: Status and Title say what kind of error it is.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong and what to do. For a cluster file that does not validate it has one line for each problem.
	Detail string `json:"detail"`
}

// refuse sends an error.
func refuse(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(Refusal{Type: "about:blank", Title: http.StatusText(code), Status: code, Detail: detail}) // fails only if the client has disconnected
}

// refuseBody sends the error of reading or understanding a body.
func refuseBody(w http.ResponseWriter, what string, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuse(w, http.StatusRequestEntityTooLarge, what+": "+err.Error())
		return
	}
	refuse(w, http.StatusBadRequest, what+": "+err.Error())
}

// answer sends a document or an error.
func answer(w http.ResponseWriter, doc any, err error) {
	switch {
	case clusterfile.Refused(err):
		refuse(w, http.StatusUnprocessableEntity, err.Error())
	case err != nil:
		refuse(w, http.StatusInternalServerError, err.Error())
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(doc) // fails only if the client has disconnected
	}
}

// answerText sends a text.
func answerText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text) // fails only if the client has disconnected
}

func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(s.h.Status()) // as above
}

func (s *server) record(w http.ResponseWriter, r *http.Request) {
	text, err := s.h.Record(r.URL.Query().Get("instance"))
	if err != nil {
		refuse(w, http.StatusNotFound, err.Error())
		return
	}
	answerText(w, text)
}
