package api

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strings"
	"testing"
)

func TestFailOver(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	client, stop := serve(t, Handlers{FailOver: func(_ context.Context, name string, release bool, author string) (string, error) {
		if name == "refused" {
			return "", errors.New("refused is not MASTER here")
		}
		return fmt.Sprintf("%s %t by %s", name, release, author), nil
	}})
	defer stop()
	for name, want := range map[string]string{"a b": "a b true by " + me.Username, "refused": "refused is not MASTER here", "": "want a name and release"} {
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
