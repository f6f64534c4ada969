package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
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

// ErrNoDaemon is returned when no process is listening on the socket, ErrSilent when one is listening that does not
// answer: it is stopped, or has no CPU time.
var (
	ErrNoDaemon = errors.New("no daemon answers")
	ErrSilent   = errors.New("the daemon does not answer")
)

// DefaultTimeout is how long a client waits for an answer, or during a reload for a sign of life. Monitoring plugins are
// given 10 s, and an operator should have the answer within 5 s.
const DefaultTimeout = 4 * time.Second

// Client is a client of a daemon's socket.
type Client struct {
	Socket string
	// Unit is the daemon's systemd unit, for the remedies of errors.
	Unit string
	// Timeout is how long to wait for the daemon; more than 0.
	Timeout time.Duration
	// Sudo is the user who has called sudo, for the events of changes; "" for none.
	Sudo string

	http *http.Client
}

// NewClient creates a client without connecting, with the defaults: the unit of the director, and DefaultTimeout.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{
		Socket: socket, Unit: "lvs-director", Timeout: DefaultTimeout,
		http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
	}
}

// mostAnswer limits the size of a response: a status with 10 000 real servers has about 4 MB.
const mostAnswer = 64 << 20

// Status returns the daemon's status document as JSON.
func (c *Client) Status(ctx context.Context) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/status", nil)
}

// Record returns the last events of a VRRP instance, or of all instances if the name is "", in the text form of
// vrrp.Trace.
func (c *Client) Record(ctx context.Context, instance string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, "/v1/vrrp/record?instance="+url.QueryEscape(instance), nil)
}

// silentWithin is how long a client that follows events waits for data before it considers the daemon hung.
const silentWithin = 3 * aliveEvery

// Events calls take with each event since a time, oldest first; the zero time means all events. With follow it
// continues with new events until ctx ends, which is not an error, or the daemon stops, which is ErrNoDaemon. An error
// from take ends it.
func (c *Client) Events(ctx context.Context, since time.Time, follow bool, take func(event.Event) error) error {
	query := url.Values{"follow": {strconv.FormatBool(follow)}}
	if !since.IsZero() {
		query.Set("since", since.Format(time.RFC3339Nano))
	}
	talking, silent, hangUp := c.limited(ctx)
	defer hangUp()
	request, err := http.NewRequestWithContext(talking, http.MethodGet, "http://daemon/v1/events?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return c.explain(talking, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, event.MaxLine))
		return errors.New(detail(response, text))
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, event.MaxLine+1)
	patience := c.Timeout
	if follow {
		patience = max(patience, silentWithin)
	}
	silent.Reset(patience)
	for lines.Scan() {
		silent.Reset(patience)
		if len(lines.Bytes()) == 0 { // a keepalive
			continue
		}
		e, err := event.Parse(lines.Bytes())
		if err != nil {
			return fmt.Errorf("socket %s: %w", c.Socket, err)
		}
		if err := take(e); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case talking.Err() != nil:
		return c.explain(talking, talking.Err())
	case follow || lines.Err() != nil:
		return fmt.Errorf("socket %s: the daemon has stopped: %w", c.Socket, ErrNoDaemon)
	default:
		return nil
	}
}

// Reload makes the daemon read its cluster file again. A reload may take longer than Timeout, for which the daemon sends
// signs of life. A director refuses a file that removes most real servers unless force is set.
func (c *Client) Reload(ctx context.Context, force bool) error {
	_, err := c.do(ctx, http.MethodPost, "/v1/reload?force="+strconv.FormatBool(force)+c.sudo(), nil)
	return err
}

// limited returns a context that ends with ErrSilent as its cause when the timer expires: after Timeout, unless it is
// reset. cancel releases both.
func (c *Client) limited(ctx context.Context) (limited context.Context, silent *time.Timer, cancel func()) {
	limited, end := context.WithCancelCause(ctx)
	silent = time.AfterFunc(c.Timeout, func() { end(ErrSilent) })
	return limited, silent, func() {
		silent.Stop()
		end(context.Canceled)
	}
}

// do sends a request and returns the answer; a nil content is none.
func (c *Client) do(ctx context.Context, method, path string, content io.Reader) ([]byte, error) {
	ctx, silent, cancel := c.limited(ctx)
	defer cancel()
	alive := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error {
		silent.Reset(c.Timeout)
		return nil
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, alive), method, "http://daemon"+path, content)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	switch {
	case response.StatusCode == http.StatusUnprocessableEntity:
		return nil, &InvalidError{detail(response, body)}
	case response.StatusCode/100 != 2:
		return nil, errors.New(detail(response, body))
	}
	return body, nil
}

// detail returns the text of an answer that is an error. Daemons of older versions send only the text.
func detail(response *http.Response, body []byte) string {
	var p Refusal
	if response.Header.Get("Content-Type") == problemType && json.Unmarshal(body, &p) == nil {
		body = []byte(p.Detail)
	}
	return strings.TrimSpace(string(body))
}

// sudo is the parameter of changes that says who has called sudo.
func (c *Client) sudo() string {
	if c.Sudo == "" {
		return ""
	}
	return "&sudo=" + url.QueryEscape(c.Sudo)
}

// explain adds a remedy to the error of a request with a context of limited.
func (c *Client) explain(limited context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(limited), ErrSilent), errors.Is(err, syscall.EAGAIN): // the queue of connections is full
		return fmt.Errorf("socket %s: %w within %s: it is stopped or has no CPU time (systemctl status %s; systemctl restart %s)",
			c.Socket, ErrSilent, c.Timeout, c.Unit, c.Unit)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("socket %s: %w: is %s running? (systemctl status %s; another socket: --socket)", c.Socket, ErrNoDaemon, c.Unit, c.Unit)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("socket %s: permission denied: run it as root or as a member of group %s, or of %s to change something", c.Socket, Group, AdminGroup)
	default:
		return fmt.Errorf("socket %s: %w", c.Socket, err)
	}
}
