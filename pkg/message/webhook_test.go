package message

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPost(t *testing.T) {
	hang := make(chan struct{})
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.String() + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Authorization") + " " + string(body)
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, "/ok", http.StatusTemporaryRedirect)
		case "/broken":
			http.Error(w, "the database\x1b[31m is down\nmore", http.StatusBadGateway)
		case "/hang":
			<-hang
		}
	}))
	defer server.Close()
	defer close(hang)
	if err := Post(t.Context(), server.URL+"/ok?x=1", "Bearer secret", []byte(`{"a":1}`)); err != nil {
		t.Error(err)
	}
	if want := `POST /ok?x=1 application/json Bearer secret {"a":1}`; got != want {
		t.Errorf("the server got %q, want %q", got, want)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for to, want := range map[string]string{
		server.URL + "/broken":    "the answer is 502 Bad Gateway: the database [31m is down",
		server.URL + "/elsewhere": "the answer is 307 Temporary Redirect: ",
		closed.URL + "/secret":    "connection refused",
		"http://\x7f/secret":      "the URL cannot be used",
		"https://" + server.Listener.Addr().String() + "/secret": "server gave HTTP response to HTTPS client",
	} {
		err := Post(t.Context(), to, "Bearer secret", nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", to, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Post(ctx, server.URL+"/hang", "", nil); err == nil || err.Error() != "no answer in time" {
		t.Errorf("a server that hangs: %v", err)
	}
}
