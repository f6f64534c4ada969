package scrape

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// wrongPause is the minimum time between two wrong passwords that are compared. A comparison takes up to a quarter of a second of CPU,
// so guessing would cost more than anything else that a director does.
const wrongPause = time.Second

// answer is what a check of a password says.
type answer int

const (
	wrong   answer = iota
	right          // the user may read the metrics
	tooMany        // not compared, because others were wrong within the last second
)

// passwords compares passwords, one at a time. The zero value is ready for use.
type passwords struct {
	mu     sync.Mutex // held while a password is compared
	failed time.Time  // when a password was wrong last
	known  map[string]proven
}

// proven is a password that was right.
type proven struct {
	hash string // that it was compared with
	sum  [sha256.Size]byte
}

// none is compared with the passwords of users that there are none of, so that they take as long as those of others.
const none = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

// check compares a password with the hash of its user.
func (p *passwords) check(users map[string][]byte, user, password string, now time.Time) answer {
	hash, exists := users[user]
	sum := sha256.Sum256([]byte(password))
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, found := p.known[user]; exists && found && k.hash == string(hash) && subtle.ConstantTimeCompare(k.sum[:], sum[:]) == 1 {
		return right
	}
	if !p.failed.IsZero() && now.Sub(p.failed) < wrongPause {
		return tooMany
	}
	if !exists {
		hash = []byte(none)
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !exists {
		p.failed = now
		return wrong
	}
	if p.known == nil {
		p.known = map[string]proven{}
	}
	p.known[user] = proven{string(hash), sum}
	return right
}
