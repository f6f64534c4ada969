package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lvs-director/lvs-director/pkg/event"
)

// InvalidError is the daemon's response that its cluster file cannot be used. Nothing has changed.
type InvalidError struct{ Problems string }

// Error lists the problems, one per line.
func (e *InvalidError) Error() string { return e.Problems }

// ErrNoDaemon is returned when no process is listening on the socket.
var ErrNoDaemon = errors.New("no daemon answers: is lvs-director (or lvs-realserver) running? (systemctl status lvs-director; another path: --socket)")

// Client is a client of a daemon's socket.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient creates a client without connecting.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		Timeout:   35 * time.Second,
	}}
}

// mostAnswer limits the size of a response: a status with 10 000 real servers has about 4 MB.
const mostAnswer = 64 << 20

// Status returns the daemon's status document as JSON.
func (c *Client) Status(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/status")
}

// Record returns the last events of a VRRP instance, or of all instances if the name is "", in the text form of
// vrrp.Trace.
func (c *Client) Record(ctx context.Context, instance string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/vrrp/record?instance="+url.QueryEscape(instance))
}

// silentWithin is how long a following client waits for data before it considers the daemon hung.
const silentWithin = 3 * aliveEvery

// Events calls take with each event since a time, oldest first; the zero time means all events. With follow it
// continues with new events until ctx ends, which is not an error, or the daemon stops, which is ErrNoDaemon. An error
// from take ends it.
func (c *Client) Events(ctx context.Context, since time.Time, follow bool, take func(event.Event) error) error {
	query := url.Values{"follow": {strconv.FormatBool(follow)}}
	if !since.IsZero() {
		query.Set("since", since.Format(time.RFC3339Nano))
	}
	talking, hangUp := context.WithCancel(ctx)
	defer hangUp()
	silent := time.AfterFunc(silentWithin, hangUp)
	defer silent.Stop()
	request, err := http.NewRequestWithContext(talking, http.MethodGet, "http://daemon/v1/events?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: c.http.Transport}).Do(request) // without the client's timeout, which would limit the whole stream
	switch {
	case ctx.Err() != nil:
		return nil
	case talking.Err() != nil:
		return c.explain(context.DeadlineExceeded)
	case err != nil:
		return c.explain(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, event.MaxLine))
		return errors.New(strings.TrimSpace(string(text)))
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, event.MaxLine+1)
	for lines.Scan() {
		silent.Reset(silentWithin)
		if len(lines.Bytes()) == 0 { // a keepalive
			continue
		}
		e, err := event.Parse(lines.Bytes())
		if err != nil {
			return fmt.Errorf("socket %s: %w", c.socket, err)
		}
		if err := take(e); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case talking.Err() != nil:
		return c.explain(context.DeadlineExceeded)
	case follow || lines.Err() != nil:
		return fmt.Errorf("socket %s: the daemon has stopped: %w", c.socket, ErrNoDaemon)
	default:
		return nil
	}
}

// Reload makes the daemon read its cluster file again.
func (c *Client) Reload(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, "/v1/reload")
	return err
}

func (c *Client) do(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://daemon"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", c.socket, err)
	}
	switch text := strings.TrimSpace(string(body)); {
	case response.StatusCode == http.StatusUnprocessableEntity:
		return nil, &InvalidError{text}
	case response.StatusCode/100 != 2:
		return nil, errors.New(text)
	}
	return body, nil
}

// explain adds a remedy to the errors of a socket that does not answer.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("socket %s: %w", c.socket, ErrNoDaemon)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("socket %s: permission denied: run it as root or as a member of group %s", c.socket, Group)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("socket %s: the daemon does not answer in time", c.socket)
	default:
		return fmt.Errorf("socket %s: %w", c.socket, err)
	}
}
