package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/user"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel/localsock"
	"github.com/lvs-director/lvs-director/pkg/override"
	"github.com/lvs-director/lvs-director/pkg/status"
)

// TestOverride: the daemon learns what is asked, and by whom: from the kernel, not from the client.
func TestOverride(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	client, stop := serve(t, Handlers{Override: func(_ context.Context, r status.OverrideRequest, author string) (status.OverrideResult, error) {
		if r.Target == "refused" {
			return status.OverrideResult{}, errors.New("refused is the last one")
		}
		return status.OverrideResult{Changed: true, Override: status.Override{Target: r.Target, Kind: string(r.Kind), Author: author}}, nil
	}})
	defer stop()
	client.Sudo = "nobody-of-this-name"
	done, err := client.Override(t.Context(), status.OverrideRequest{Target: "mysql/mysql1", Kind: override.Drain})
	if want := (status.Override{Target: "mysql/mysql1", Kind: "drain", Author: me.Username}); err != nil || !done.Changed || done.Override != want {
		t.Errorf("%+v, %v; want %+v", done, err, want)
	}
	if _, err := client.Override(t.Context(), status.OverrideRequest{Target: "refused"}); err == nil || err.Error() != "refused is the last one" {
		t.Errorf("%v", err)
	}
	if _, err := client.do(t.Context(), "POST", "/v1/override", strings.NewReader("{")); err == nil || !strings.Contains(err.Error(), "want an override") {
		t.Errorf("half a request: %v", err)
	}
	agent, end := serve(t, Handlers{})
	defer end()
	if _, err := agent.Override(t.Context(), status.OverrideRequest{Target: "a"}); err == nil || !strings.Contains(err.Error(), "is no director") {
		t.Errorf("an agent: %v", err)
	}
}

// TestAuthor: only root can have been called by sudo.
func TestAuthor(t *testing.T) {
	as := func(uid uint32) context.Context {
		return context.WithValue(t.Context(), peerKey{}, localsock.Peer{UID: uid})
	}
	for _, tt := range []struct {
		ctx        context.Context
		sudo, want string
	}{
		{t.Context(), "", "unknown"},
		{as(0), "", "root"},
		{as(0), "daemon", "root (sudo by daemon)"},
		{as(0), "root", "root"},
		{as(0), "nobody-of-this-name", "root"},
		{as(1), "root", "daemon"},
		{as(4000000000), "root", "uid 4000000000"},
	} {
		if got := author(httptest.NewRequestWithContext(tt.ctx, http.MethodPost, "/?sudo="+tt.sudo, nil)); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
