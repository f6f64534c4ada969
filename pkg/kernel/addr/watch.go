package addr

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/pkg/kernel/rtnl"
)

const (
	// watchBuffer is the size in bytes of the kernel's queue of events; an event takes about 2 kB of it.
	watchBuffer = 1 << 20

	// watchPause is the wait before a subscription is renewed, so that a burst of changes or a persistent error does not
	// cause a busy loop.
	watchPause = 50 * time.Millisecond
)

// Watch delivers address and link changes of the thread's network namespace until ctx ends, and then returns nil. The
// first event is a Resync: no change after a later read is missed. If the kernel drops events because deliver is slow
// (ENOBUFS), or the socket fails, Watch subscribes again and delivers another Resync. deliver is called by the calling
// goroutine, one event at a time.
//
// An error is returned only when the first subscription is not possible.
func Watch(ctx context.Context, deliver func(Event)) error {
	return watch(ctx, watchBuffer, deliver)
}

func watch(ctx context.Context, buffer int, deliver func(Event)) error {
	for first := true; ctx.Err() == nil; first = false {
		s, err := subscribe(buffer)
		if err != nil && first {
			return fmt.Errorf("watch addresses and links: %w", rtnl.Translate(err))
		}
		if err == nil {
			stop := context.AfterFunc(ctx, s.Close)
			receive(ctx, s, deliver)
			if stop() {
				s.Close()
			}
		}
		pause(ctx, watchPause)
	}
	return nil
}

func subscribe(buffer int) (*nl.NetlinkSocket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE,
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, err
	}
	// Without CAP_NET_ADMIN the forced size is refused and the system's limit applies; that only makes a Resync more
	// likely.
	if s.SetReceiveBufferSize(buffer, true) != nil {
		_ = s.SetReceiveBufferSize(buffer, false)
	}
	return s, nil
}

// receive delivers the events of the subscription until it fails or ctx ends.
func receive(ctx context.Context, s *nl.NetlinkSocket, deliver func(Event)) {
	known, err := currentNames()
	if err != nil {
		return
	}
	deliver(Event{Kind: Resync})
	for {
		messages, from, err := s.Receive()
		if err != nil {
			return
		}
		if from.Pid != nl.PidKernel {
			continue
		}
		for _, m := range messages {
			for _, e := range known.events(m.Header.Type, m.Header.Pid, m.Data) {
				if ctx.Err() != nil {
					return
				}
				deliver(e)
			}
		}
	}
}

func currentNames() (names, error) {
	h, err := Open()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	links, err := h.Links()
	if err != nil {
		return nil, err
	}
	known := make(names, len(links))
	for _, l := range links {
		known[int32(l.Index)] = l.Name
	}
	return known, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
