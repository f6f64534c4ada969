package director

import (
	"context"
	"errors"

	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
)

// Judge returns why this host cannot run a valid cluster file, as a reload would: a missing scheduler, or an interface
// that does not exist and that before, the file that ran last, does not have either. A file that does not name this host
// is not judged.
func Judge(k Kernel, before, cfg *config.Config, names ...string) error {
	node, err := cfg.DirectorNamed(names...)
	if err != nil {
		return nil // the start reports it
	}
	if err := usable(k, cfg); err != nil {
		return err
	}
	handle, err := k.Addresses()
	if err != nil {
		return nil // the file is not at fault
	}
	known, err := handle.Links()
	if err := errors.Join(err, handle.Close()); err != nil {
		return nil // likewise
	}
	if problems := plan.UnknownInterfaces(before, cfg, node.Name, known); problems != nil {
		return &clusterfile.InvalidError{Problems: problems}
	}
	return nil
}

// usable checks that the kernel has what the file's virtual servers need.
func usable(k Kernel, cfg *config.Config) error {
	if len(cfg.VirtualServers) == 0 {
		return nil
	}
	if err := find(k, cfg); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), featuresWithin)
	defer cancel()
	for _, n := range lacking(ctx, k, cfg) {
		return n
	}
	return nil
}
