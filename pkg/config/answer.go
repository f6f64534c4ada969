package config

import (
	"encoding/hex"
	"strings"
)

// Answer is what an answer must be. The zero value accepts any.
type Answer struct {
	Text       string // must be in it; "" is in every answer
	Expression string // a regular expression that must match it; "" matches
}

// Any reports whether every answer is right.
func (a Answer) Any() bool { return a == Answer{} }

// maxPayload is the size of the longest request that a check sends, in bytes: one packet of UDP.
const maxPayload = 1024

func answerFields[K any](in func(*K) *Answer) []key[K] {
	return []key[K]{
		&field[K, string]{
			name: "expect", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(k *K) *string { return &in(k).Text },
			unset: "any answer", doc: "a text that the answer must contain", reload: Restart,
		},
		&field[K, string]{
			name: "expect_regex", kind: texts("regular expression", Schema{MinLength: 1}, value.expression),
			in:    func(k *K) *string { return &in(k).Expression },
			unset: "any answer", doc: "a [regular expression](https://pkg.go.dev/regexp/syntax) that the answer must match", reload: Restart,
			words: []word{keepalived("regex")},
		},
	}
}

// sendFields are the keys of a request; what tells what is sent without them.
func sendFields[K any](what string, in func(*K) *string) []key[K] {
	return []key[K]{
		&field[K, string]{
			name: "send", kind: texts("text", Schema{MinLength: 1}, value.payload), in: in,
			unset: what, doc: `the text to send; in double quotes \r\n is the end of a line`, reload: Restart,
		},
		&field[K, string]{
			name: "send_hex", kind: scalar("hexadecimal digits", Schema{Type: "string", Pattern: "^([0-9A-Fa-f]{2})+$"}, value.hexPayload), in: in,
			// The default leaves alone what send has set.
			defOf: func(k *K) string { return *in(k) },
			unset: what, doc: "the bytes to send, in place of `send`", reload: Restart,
			words: []word{keepalived("payload")},
		},
	}
}

// payload reads what a check sends.
func (v value) payload() string {
	s := v.text()
	if len(s) > maxPayload {
		v.fail("", "has %d bytes: a check sends at most %d", len(s), maxPayload)
		return ""
	}
	return s
}

func (v value) hexPayload() string {
	s := strings.TrimSpace(v.text())
	if s == "" {
		return ""
	}
	b, err := hex.DecodeString(s)
	switch {
	case err != nil:
		v.fail("write two digits for each byte, for example 00ff", "%s is not hexadecimal", quote(s))
		return ""
	case len(b) > maxPayload:
		v.fail("", "has %d bytes: a check sends at most %d", len(b), maxPayload)
		return ""
	}
	return string(b)
}

// oneRequest rejects both forms of a request.
func (o object) oneRequest() {
	if !o.missing("send") && !o.missing("send_hex") {
		o.locate("send_hex").fail("remove one of the two", "a check has either send or send_hex")
	}
}
