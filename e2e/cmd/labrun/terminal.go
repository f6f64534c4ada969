package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lvs-director/lvs-director/e2e/lab/guest"
)

// onTerminal runs the command on the caller's terminal.
func onTerminal(ctx context.Context, o guest.Options) (int, error) {
	fd := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return 0, fmt.Errorf("standard input is not a terminal (%w): run this on a terminal, or omit -shell and -it", err)
	}
	raw := *before
	// cfmakeraw(3)
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &raw); err != nil {
		return 0, fmt.Errorf("put the terminal into raw mode: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	o.Interactive, o.Sizes = true, sizes(ctx, fd)
	code, err := guest.Boot(ctx, o)
	return code, errors.Join(err, unix.IoctlSetTermios(fd, unix.TCSETS, before))
}

// sizes returns a channel with the terminal's current size, and then its size after every change.
func sizes(ctx context.Context, fd int) <-chan guest.Size {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	out := make(chan guest.Size)
	go func() {
		defer signal.Stop(changed)
		for {
			// If the terminal does not know its size, send 0, which means unknown.
			var size guest.Size
			if w, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ); err == nil {
				size = guest.Size{Rows: w.Row, Columns: w.Col}
			}
			select {
			case out <- size:
			case <-ctx.Done():
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
