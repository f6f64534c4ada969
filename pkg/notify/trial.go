package notify

import (
	"context"
	"maps"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
)

const (
	// tryEvery is how often each hook is tried: a program may have been removed since the last time.
	tryEvery = time.Minute
	// tryWithin limits a try.
	tryWithin = 5 * time.Second
)

// trial is what decides whether a hook can be run: a program with a user, or the file of a secret. Its arguments do not.
type trial struct {
	program, user string
	groups        config.Argv
	file          string
	mail          bool // the file is that of the mail server
}

func trialOf(h config.Hook) trial {
	if h.Argv != "" {
		return trial{program: h.Label(), user: h.User, groups: h.Groups}
	}
	return trial{file: h.AuthorizationFile, mail: h.MailTo != ""}
}

// tryAll tries all hooks in the background, unless that is still being done: somebody should know today that a hook will
// fail, and not when it is needed.
func (n *Notifier) tryAll(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.trying {
		return
	}
	n.trying = true
	hooks := n.distinct()
	n.trials.Go(func() {
		useless := map[trial]string{}
		for _, h := range hooks {
			limited, cancel := context.WithTimeout(ctx, tryWithin)
			if r := n.o.Run(limited, Job{Hook: h, Try: true}); !r.OK && ctx.Err() == nil {
				useless[trialOf(h)] = r.Text
			}
			cancel()
		}
		n.mu.Lock()
		n.trying = false
		changed := !maps.Equal(n.useless, useless)
		n.useless = useless
		n.mu.Unlock()
		if changed {
			n.o.Changed()
		}
	})
}

// distinct returns a hook for each trial, those of instances and groups first. It needs the lock.
func (n *Notifier) distinct() []config.Hook {
	var all []config.Hook
	seen := map[trial]bool{}
	for _, ofPool := range []bool{false, true} {
		for _, l := range n.lines {
			if l.subject.ofPool() != ofPool {
				continue
			}
			for _, h := range l.subject.Hooks {
				if t := trialOf(h); !seen[t] {
					seen[t] = true
					all = append(all, h)
				}
			}
		}
	}
	return all
}
