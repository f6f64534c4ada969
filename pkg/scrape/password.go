package scrape

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// wrongPause is the minimum time between two wrong passwords of a client that are compared. A comparison takes up to a
// quarter of a second of CPU, so guessing would cost more than anything else that a director does.
const wrongPause = time.Second

// answer is what a check of a password says.
type answer int

const (
	wrong   answer = iota
	right          // the user may read the metrics
	tooMany        // not compared, because the client's last one, or those of several others, were wrong within the last second
)

// passwords compares passwords, one at a time. The zero value is ready for use.
type passwords struct {
	mu     sync.Mutex               // held while a password is compared
	failed map[netip.Addr]time.Time // when a client's password was wrong last, within wrongPause
	known  map[string]proven
}

// proven is a password that was right.
type proven struct {
	hash string // that it was compared with
	sum  [sha256.Size]byte
}

// mostGuessing is from how many addresses wrong passwords are compared within wrongPause.
const mostGuessing = 4

// dearest returns the hash whose comparison takes longest: it is compared with the passwords of users that there are none of, so that
// they take as long as those of others.
func dearest(users map[string][]byte) (hash []byte) {
	most := 0
	for _, one := range users {
		if cost, err := bcrypt.Cost(one); err == nil && cost > most {
			hash, most = one, cost
		}
	}
	return hash
}

// check compares the password that a client has sent with the hash of its user.
func (p *passwords) check(users map[string][]byte, from netip.Addr, user, password string, now func() time.Time) answer {
	hash, exists := users[user]
	sum := sha256.Sum256([]byte(password))
	p.mu.Lock()
	defer p.mu.Unlock()
	if k, found := p.known[user]; exists && found && k.hash == string(hash) && subtle.ConstantTimeCompare(k.sum[:], sum[:]) == 1 {
		return right
	}
	begun := now()
	maps.DeleteFunc(p.failed, func(_ netip.Addr, at time.Time) bool { return begun.Sub(at) >= wrongPause })
	if _, guessing := p.failed[from]; guessing || len(p.failed) >= mostGuessing {
		return tooMany
	}
	if !exists {
		hash = dearest(users)
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || !exists {
		if p.failed == nil {
			p.failed = map[netip.Addr]time.Time{}
		}
		p.failed[from] = now() // from the end of the comparison
		return wrong
	}
	if p.known == nil {
		p.known = map[string]proven{}
	}
	p.known[user] = proven{string(hash), sum}
	return right
}
