package reconcile

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// incomplete is what the kernel does not know of what rules depend on. The zero value: nothing.
type incomplete struct {
	unread lastError // why it cannot be read

	mu      sync.Mutex   // guards all below
	lacking []netip.Addr // hosts of which the kernel does not know it
	passes  int          // in which these were lacking, up to lackingPasses
}

const (
	// lackingPasses is for how many passes the kernel is asked often: then the host may be down for long.
	lackingPasses = 15
	lackingEvery  = 200 * time.Millisecond
)

// note takes in a pass. It returns the text of err, and whether that is another one than before.
func (i *incomplete) note(lacking []netip.Addr, err error) (text string, news bool) {
	i.mu.Lock()
	if !slices.Equal(lacking, i.lacking) {
		i.lacking, i.passes = lacking, 0
	}
	if i.passes = min(i.passes+1, lackingPasses); len(lacking) == 0 {
		i.passes = 0
	}
	i.mu.Unlock()
	if err == nil {
		i.unread.clear()
		return "", false
	}
	return i.unread.set(err)
}

// wait returns after how long the next pass is due.
func (i *incomplete) wait() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.lacking) > 0 && i.passes < lackingPasses {
		return lackingEvery
	}
	return ruleTableEvery
}

// snapshot returns the hosts that have been lacking for a while, and why the rest cannot be read.
func (i *incomplete) snapshot() (lacking []netip.Addr, why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.passes >= lackingPasses {
		lacking = i.lacking
	}
	return lacking, i.unread.text()
}
