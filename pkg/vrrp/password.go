package vrrp

import (
	"crypto/subtle"
	"errors"
	"unique"
)

// The authentication types of version 2: RFC 2338 5.3.6. RFC 3768 abolished them.
const (
	authNone     = 0
	authPassword = 1
)

// PasswordLen is the longest password of version 2, in bytes: RFC 2338 5.3.10.
const PasswordLen = 8

// Password is the simple text password of version 2: 1 to 8 printable ASCII characters. The zero value is no password.
// Passwords are equal (==) if their texts are. Neither a log nor package fmt prints the text, nor does JSON; with a verb
// for other types, such as %t, fmt would.
type Password struct {
	padded unique.Handle[[PasswordLen]byte]
}

// passwordOf returns the password in the authentication data of a packet, which is padded with zeros; no password if the
// data is empty.
func passwordOf(padded [PasswordLen]byte) Password {
	if padded == [PasswordLen]byte{} {
		return Password{}
	}
	return Password{unique.Make(padded)}
}

// ParsePassword returns the password with this text. The error describes what is wrong, and does not contain the text.
func ParsePassword(text string) (Password, error) {
	switch {
	case text == "":
		return Password{}, errors.New("is empty")
	case text[0] == ' ' || text[len(text)-1] == ' ':
		return Password{}, errors.New("begins or ends with a space, which keepalived leaves out")
	}
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return Password{}, errors.New("contains a character that is not printable ASCII, such as a line break or an accented letter")
		}
	}
	if len(text) > PasswordLen {
		return Password{}, errors.New("is longer than 8 characters, of which keepalived uses only the first 8: write those")
	}
	var padded [PasswordLen]byte
	copy(padded[:], text)
	return passwordOf(padded), nil
}

// IsZero reports whether p is no password.
func (p Password) IsZero() bool { return p == Password{} }

// matches reports whether both are the same password, in a time that does not depend on their texts. No password matches
// nothing.
func (p Password) matches(o Password) bool {
	if p.IsZero() || o.IsZero() {
		return false
	}
	a, b := p.padded.Value(), o.padded.Value()
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// bytes returns the password as in a packet, padded with zeros.
func (p Password) bytes() [PasswordLen]byte {
	if p.IsZero() {
		return [PasswordLen]byte{}
	}
	return p.padded.Value()
}

// String returns "(hidden)", or "" for no password.
func (p Password) String() string {
	if p.IsZero() {
		return ""
	}
	return "(hidden)"
}

// GoString returns the same, for %#v.
func (p Password) GoString() string { return p.String() }

// MarshalText returns the same, for JSON.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Equal reports whether both are the same password.
func (p Password) Equal(o Password) bool { return p == o }
