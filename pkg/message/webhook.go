package message

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answerShown is how much of an answer that is an error is shown, in bytes.
const answerShown = 200

// client follows no redirects: the address that gets the authorization is the one that the administrator has written. Each
// request has a connection of its own, so that it sees a changed name or certificate.
var client = &http.Client{
	Transport: &http.Transport{
		Proxy: nil, DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: 0, MaxResponseHeaderBytes: 64 << 10,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Post sends body as JSON to a URL until ctx ends, with the Authorization header, if it is not "". The answer must be 2xx.
// Errors do not contain the header nor the path of the URL, which may be secret.
func Post(ctx context.Context, to, authorization string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL cannot be used")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "lvs-director")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, err := client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return errors.New("no answer in time")
		}
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, answerShown))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the answer is %s: %s", answer.Status, firstLine(string(text)))
	}
	return nil
}

// firstLine returns the printable part of the first line.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
