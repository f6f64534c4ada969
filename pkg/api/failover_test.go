package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestFailOver(t *testing.T) {
	client, stop := serve(t, Handlers{FailOver: func(_ context.Context, name string, release bool) (string, error) {
		if name == "refused" {
			return "", errors.New("refused is not MASTER here")
		}
		return fmt.Sprintf("%s %t", name, release), nil
	}})
	defer stop()
	for name, want := range map[string]string{"a b": "a b true", "refused": "refused is not MASTER here", "": "want a name and release"} {
		done, err := client.FailOver(t.Context(), name, true)
		if err != nil {
			done = err.Error()
		}
		if done != want {
			t.Errorf("%q: %q, want %q", name, done, want)
		}
	}
	agent, end := serve(t, Handlers{})
	defer end()
	if _, err := agent.FailOver(t.Context(), "a", false); err == nil || !strings.Contains(err.Error(), "is no director") {
		t.Errorf("an agent: %v", err)
	}
}
