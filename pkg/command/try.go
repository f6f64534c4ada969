package command

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Try finds out whether a command could be run, without running it: whether its user exists, may execute the program, and
// only root can change a program that root runs.
func (r *Runner) Try(ctx context.Context, c Command) Outcome {
	c.Attempt = true
	return r.Run(ctx, c)
}

// executable returns an error if this process may not execute a program. The interpreter of a script is not judged.
func executable(program string) error {
	info, err := os.Stat(program)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return unix.EACCES
	case !info.Mode().IsRegular():
		return fmt.Errorf("is no file: %w", unix.EACCES)
	}
	err = unix.Faccessat(unix.AT_FDCWD, program, unix.X_OK, unix.AT_EACCESS)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil // not known
	}
	return err
}
