package api

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// signEvery is the interval of signs of life during a reload. It is shorter than any useful timeout of a client.
const signEvery = 500 * time.Millisecond

// reloading answers a request for a reload. A reload may take longer than a client waits for a frozen daemon: until it is
// done, the client receives 102 Processing (RFC 2518, section 10.1) as a sign of life.
func reloading(reload func(ctx context.Context, force bool, author string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		force := r.URL.Query().Get("force") == "true" // absent from older clients
		stop := signs(w)
		defer stop() // also when reload panics
		err := reload(r.Context(), force, author(r))
		stop()
		answerReload(w, err)
	}
}

// signs sends signs of life until stop is called, after which w has a deadline of its own for the answer.
func signs(w http.ResponseWriter) (stop func()) {
	control := http.NewResponseController(w)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(signEvery)
		defer tick.Stop()
		for {
			// The server's deadline for a whole response does not apply: each write has its own.
			_ = control.SetWriteDeadline(time.Now().Add(writeWithin)) // fails only if the client has disconnected
			select {
			case <-tick.C:
				w.WriteHeader(http.StatusProcessing)
			case <-end:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(end)
		<-ended
		_ = control.SetWriteDeadline(time.Now().Add(writeWithin))
	})
}

func answerReload(w http.ResponseWriter, err error) {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, nil, err)
}
