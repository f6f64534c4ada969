package director

import (
	"errors"
	"fmt"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// passwordWithin limits the reading of a password file: a network file system whose server is down blocks a read forever.
const passwordWithin = 5 * time.Second

// passwords reads the password files of the instances, each once.
func passwords(cfg *config.Config, node string) map[string]plan.Password {
	all := map[string]plan.Password{}
	for _, i := range cfg.ForNode(node).Instances {
		file := i.AuthPasswordFile
		if _, known := all[file]; known || file == "" {
			continue
		}
		p, err := passwordWithTimeout(file)
		all[file] = plan.Password{Password: p}
		if err != nil {
			all[file] = plan.Password{Problem: err.Error()}
		}
	}
	return all
}

// unusablePasswords returns the problems of the password files, for a reload, which must not take VIPs from their MASTER.
func unusablePasswords(cfg *config.Config, node string, all map[string]plan.Password) error {
	var problems config.Problems
	for _, i := range cfg.ForNode(node).Instances {
		if p := all[i.AuthPasswordFile]; p.Problem != "" {
			problems = append(problems, cfg.Problem(i.AuthPasswordFileAt, p.Problem, ""))
		}
	}
	if problems == nil {
		return nil
	}
	return &clusterfile.InvalidError{Problems: problems}
}

func passwordWithTimeout(file string) (vrrp.Password, error) {
	type result struct {
		password vrrp.Password
		err      error
	}
	done := make(chan result, 1)
	go func() {
		p, err := readPassword(file)
		done <- result{p, err}
	}()
	late := time.NewTimer(passwordWithin)
	defer late.Stop()
	select {
	case r := <-done:
		return r.password, r.err
	case <-late.C: // the blocked reader cannot be canceled
		return vrrp.Password{}, fmt.Errorf("reading %s takes longer than %s (put it on a local disk, then run lvsctl reload)", file, passwordWithin)
	}
}

// readPassword reads a password file, without a cache: an editor may leave size and time of the file unchanged. Errors do
// not contain the password.
func readPassword(file string) (vrrp.Password, error) {
	text, err := new(checker.SecretFiles).Read(file)
	if err != nil {
		return vrrp.Password{}, fmt.Errorf("%w; then run lvsctl reload", err)
	}
	p, err := vrrp.ParsePassword(text)
	if err != nil {
		return p, errors.New("the password in " + file + " " + err.Error() + " (correct the file, then run lvsctl reload)")
	}
	return p, nil
}
