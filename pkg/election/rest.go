package election

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/heartbeat"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// The adverts of a MASTER only tell its BACKUPs that nothing has happened. With many instances, being woken for each of them is
// most of the CPU time of a director. So a link on which many instances are BACKUP rests: it reads their adverts together, several
// times in a master-down interval. When an advert arrived counts, and not when it was read; an instance whose timer seems to have
// expired reads the socket first (Drain). Resignations, and all adverts for instances that are not BACKUP, end a rest at once.

const (
	// restMost is the longest rest. It is short enough for the status, and for the queue of the socket.
	restMost = heartbeat.Every / 4
	// floodFrom is from how many datagrams on, read at once, the link does not rest for roused: in a flood the queue of the socket
	// would be full before its end.
	floodFrom = 512
	// ringsMost is the same for rests of less than shortRest, in a row.
	ringsMost = 64
	shortRest = 5 * time.Millisecond
	roused    = 5 * time.Second
)

// rests are what a Link knows about its rests. It belongs to Run, but for what reading guards.
type rests struct {
	unable    Socket        // on which a rest has failed
	notBefore time.Duration // since epoch; because of a flood
	rings     int           // short rests in a row

	// Guarded by reading.
	length time.Duration // of the current rest; 0: the link does not rest
	taken  time.Duration // since epoch: when datagrams were last read
}

// resting returns for how long the link rests at a time, and the virtual routers whose adverts end that; 0 if it does not rest.
func (l *Link) resting(socket Socket) (length time.Duration, awake []uint8) {
	if l.rests.unable == socket || time.Since(l.epoch) < l.rests.notBefore {
		return 0, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.actors) < gatherFrom {
		return 0, nil
	}
	length = restMost
	for vrid, a := range l.actors {
		if v := a.View(); v.State == vrrp.Backup && !v.Handover.Pending {
			length = min(length, v.AdvertInterval)
		} else {
			awake = append(awake, vrid)
		}
	}
	if len(l.actors)-len(awake) < gatherFrom {
		return 0, nil
	}
	slices.Sort(awake)
	return length, awake
}

// rest waits for the end of a rest, and delivers what has arrived. If the socket is broken, the next Wait says so.
func (l *Link) rest(socket Socket, length time.Duration, awake []uint8) error {
	l.setRest(length)
	begun := time.Now()
	if err := socket.Rest(heartbeat.Until(begun, length), awake); err != nil {
		l.rests.unable = socket
		if !errors.Is(err, net.ErrClosed) {
			l.log.Warn("cannot read the adverts of many instances together; reading each as it comes, which costs more CPU time", "error", err)
		}
		return nil
	}
	read, err := l.take(socket)
	now := time.Since(l.epoch)
	if l.rests.rings++; time.Since(begun) >= shortRest {
		l.rests.rings = 0
	}
	if read >= floodFrom || l.rests.rings >= ringsMost {
		l.rests.notBefore, l.rests.rings = now+roused, 0
	}
	return err
}

// setRest says for how long datagrams may wait, 0 for a link that reads them as they come.
func (l *Link) setRest(length time.Duration) {
	l.reading.Lock()
	defer l.reading.Unlock()
	l.rests.length = length
}

// longestAge returns the age up to which a datagram that is read now counts as one that has arrived earlier. After a stall it is 0:
// what has arrived before counts as if it came now, because what came later may still be on its way to us. reading is held.
func (l *Link) longestAge() time.Duration {
	now := time.Since(l.epoch)
	since := now - l.rests.taken
	l.rests.taken = now
	if l.rests.length == 0 || since > 2*l.rests.length {
		return 0
	}
	return since
}

// Moved implements Wire: the virtual routers whose adverts end a rest are others.
func (l *Link) Moved() {
	l.mu.Lock()
	socket := l.socket
	l.mu.Unlock()
	if socket != nil {
		socket.Wake()
	}
}
