package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel/localsock"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// as sends a request that the server takes for one of a process.
func as(t *testing.T, s *server, p *localsock.Peer, method, target string) (int, Refusal) {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p != nil {
			r = r.WithContext(context.WithValue(r.Context(), peerKey{}, *p))
		}
		s.mux(t.Context()).ServeHTTP(w, r)
	}))
	defer web.Close()
	request, err := http.NewRequestWithContext(t.Context(), method, web.URL+target, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := web.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, problemIn(t, response.StatusCode, response.Header, body)
}

// problemIn returns the document of an answer that is an error.
func problemIn(t *testing.T, code int, header http.Header, body []byte) (doc Refusal) {
	t.Helper()
	if code/100 == 2 {
		return doc
	}
	if err := json.Unmarshal(body, &doc); err != nil || header.Get("Content-Type") != problemType || doc.Status != code || doc.Title != http.StatusText(code) || doc.Detail == "" {
		t.Errorf("%d, %v, %s", code, err, body)
	}
	return doc
}

// everything answers all requests.
func everything() Handlers {
	return Handlers{
		Status: func() any { return status.Director{} },
		Reload: func(context.Context, bool, string) error { return nil },
		Table:  func(context.Context, bool) (d status.Table, err error) { return d, nil },
		Zero:   func(context.Context, string, string) (d status.Zeroed, err error) { return d, nil },
		Difference: func(context.Context, string, []byte) (d status.Difference, err error) {
			return d, nil
		},
		Explain:  func(context.Context, string) (d status.Explanation, err error) { return d, nil },
		Probe:    func(context.Context, string) (d []status.Probe, err error) { return d, nil },
		Record:   func(string) (string, error) { return "", nil },
		FailOver: func(context.Context, string, bool, string) (string, error) { return "", nil },
		Override: func(context.Context, status.OverrideRequest, string) (d status.OverrideResult, err error) {
			return d, nil
		},
		Live: func() (int, []string) { return 1, nil },
	}
}

// TestRoles: whoever may open the socket may read; only root, the daemon's own user and the members of one group may change
// anything.
func TestRoles(t *testing.T) {
	h := everything()
	h.Events = keeping(t)
	s := newServer(h, quiet)
	other := localsock.Peer{UID: uint32(os.Geteuid()) + 4000, Groups: []uint32{4000000000}}
	parameters := map[string]string{"table": "?foreign=false", "failover": "?name=a&release=false"}
	for _, r := range routes() {
		for name, tt := range map[string]struct {
			peer *localsock.Peer
			may  bool
		}{
			"root": {&localsock.Peer{}, true}, "the daemon's user": {&localsock.Peer{UID: uint32(os.Geteuid())}, true},
			"another user": {&other, r.role == read}, "nobody knows who": {nil, r.role == read},
		} {
			code, doc := as(t, s, tt.peer, r.method, r.path+parameters[r.id])
			if may := code/100 == 2; may != tt.may || !may && code != http.StatusForbidden {
				t.Errorf("%s: %s: %d, %s", r.id, name, code, doc.Detail)
			}
		}
	}
	if _, doc := as(t, s, &other, http.MethodPost, "/v1/reload"); !strings.Contains(doc.Detail, "may read and change nothing: run it as root, or as a member of the group lvs-admin") {
		t.Errorf("%q", doc.Detail)
	}
	group, err := user.LookupGroup(AdminGroup)
	if err != nil {
		return // there is no such group here; a scenario has one
	}
	gid, err := strconv.ParseUint(group.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	other.Groups = append(other.Groups, uint32(gid))
	if code, doc := as(t, s, &other, http.MethodPost, "/v1/reload"); code != http.StatusNoContent {
		t.Errorf("a member: %d, %s", code, doc.Detail)
	}
}

// TestNoSuchRequest: each refusal is a problem document, and says what there is.
func TestNoSuchRequest(t *testing.T) {
	s := newServer(everything(), quiet)
	for _, tt := range []struct {
		method, target string
		code           int
		detail         string
	}{
		{"GET", "/", 404, "this daemon has no /: GET /v1/openapi.json describes what it has"},
		{"GET", "/v2/status", 404, "this daemon has no /v2/status"},
		{"POST", "/v1/status", 405, "/v1/status: the method must be GET or HEAD"},
		{"GET", "/v1/reload", 405, "/v1/reload: the method must be POST"},
		{"GET", "/v1/table", 400, "foreign: want true or false"},
		{"POST", "/v1/failover?name=a", 400, "want a name and release"},
		{"GET", "/v1/events", 404, "this daemon has no journal"},
	} {
		if code, doc := as(t, s, &localsock.Peer{}, tt.method, tt.target); code != tt.code || !strings.HasPrefix(doc.Detail, tt.detail) {
			t.Errorf("%s %s: %d, %q", tt.method, tt.target, code, doc.Detail)
		}
	}
}

// TestHugeBodies: no more of a body is read than a request may have.
func TestHugeBodies(t *testing.T) {
	s := newServer(everything(), quiet)
	for _, r := range routes() {
		if r.body == nil {
			continue
		}
		body := &endless{}
		request, w := httptest.NewRequest(r.method, r.path, body), httptest.NewRecorder()
		s.mux(t.Context()).ServeHTTP(w, request.WithContext(context.WithValue(t.Context(), peerKey{}, localsock.Peer{})))
		doc := problemIn(t, w.Code, w.Header(), w.Body.Bytes())
		if limit := max(r.maxBody, maxBody); w.Code != http.StatusRequestEntityTooLarge || int64(body.taken) > limit+64<<10 {
			t.Errorf("%s: %d, %q, after %d bytes", r.id, w.Code, doc.Detail, body.taken)
		}
	}
}

// endless is a JSON string without an end.
type endless struct{ taken int }

// Read implements io.Reader.
func (e *endless) Read(b []byte) (int, error) {
	for n := range b {
		b[n] = 'x'
	}
	if e.taken == 0 && len(b) > 0 {
		b[0] = '"'
	}
	e.taken += len(b)
	return len(b), nil
}

// FuzzRequest: whatever a client sends, the server answers with HTTP or closes the connection, and goes on.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /v1/override HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	f.Add([]byte("GET /v1/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1-00000000\r\n\r\n"))
	f.Add([]byte("POST /v1/diff?name=%00 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"))
	f.Add([]byte("\x00\x16\x03\x01"))
	path := f.TempDir() + "/s"
	l, err := Listen(path, quiet)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, everything(), quiet) }()
	f.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	client := NewClient(path)
	f.Fuzz(func(t *testing.T, request []byte) {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(request) // fails if it has been closed
		_ = conn.(*net.UnixConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.")) {
			t.Errorf("%.60q", answer)
		}
		if _, err := client.Status(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
