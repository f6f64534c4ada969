package host

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/kernel/ipvs"
	"github.com/lvs-director/lvs-director/pkg/kernel/sysctl"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// settings are the sysctls, and the timeouts of IPVS under keys of their own, so that both are kept and restored alike.
type settings struct {
	sysctl.Tree
	read func(context.Context) (ipvs.Timeouts, error)
	set  func(context.Context, ipvs.Timeouts) error
}

// timeoutsWithin limits one exchange about timeouts.
const timeoutsWithin = 5 * time.Second

// Get implements reconcile.SysctlKernel.
func (s settings) Get(key string) (string, error) {
	name, isTimeout := strings.CutPrefix(key, plan.OfTimeouts)
	if !isTimeout {
		return s.Tree.Get(key)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeoutsWithin)
	defer cancel()
	t, err := s.read(ctx)
	if errors.Is(err, ipvs.ErrNoIPVS) {
		err = sysctl.ErrMissing
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	one := timeout(&t, name)
	if one == nil || *one == 0 {
		return "", fmt.Errorf("read %s: %w", key, sysctl.ErrMissing)
	}
	return strconv.Itoa(int(*one / time.Second)), nil
}

// Set implements reconcile.SysctlKernel.
func (s settings) Set(key, value string) (previous string, err error) {
	name, isTimeout := strings.CutPrefix(key, plan.OfTimeouts)
	if !isTimeout {
		return s.Tree.Set(key, value)
	}
	if previous, err = s.Get(key); err != nil || previous == value {
		return previous, err
	}
	seconds, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return previous, fmt.Errorf("set %s = %s: %w", key, value, sysctl.ErrRefused)
	}
	var t ipvs.Timeouts
	*timeout(&t, name) = time.Duration(seconds) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), timeoutsWithin)
	defer cancel()
	if err := s.set(ctx, t); err != nil {
		return previous, fmt.Errorf("set %s = %s: %w", key, value, err)
	}
	return previous, nil
}

// timeout returns the timeout of this name; nil if there is none.
func timeout(t *ipvs.Timeouts, name string) *time.Duration {
	return map[string]*time.Duration{"tcp": &t.TCP, "tcp_fin": &t.TCPFin, "udp": &t.UDP}[name]
}
