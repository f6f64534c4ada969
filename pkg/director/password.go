package director

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lvs-director/lvs-director/pkg/checker"
	"github.com/lvs-director/lvs-director/pkg/clusterfile"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/plan"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// passwordWithin limits the reading of all password files: a network file system whose server is down blocks a read forever.
const passwordWithin = 5 * time.Second

// passwords reads the password files of the instances.
func passwords(cfg *config.Config, node string) map[string]plan.Password {
	var files []string
	for _, i := range cfg.ForNode(node).Instances {
		if file := i.AuthPasswordFile; file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return readPasswords(files, readPassword)
}

// readPasswords reads all files at the same time.
func readPasswords(files []string, read func(file string) (vrrp.Password, error)) map[string]plan.Password {
	type result struct {
		file     string
		password plan.Password
	}
	results := make(chan result, len(files))
	all := map[string]plan.Password{}
	for _, file := range files {
		all[file] = plan.Password{Problem: fmt.Sprintf("reading %s takes longer than %s (put it on a local disk, then run lvsctl reload)", file, passwordWithin)}
		go func() {
			p, err := read(file)
			if err != nil {
				results <- result{file, plan.Password{Problem: err.Error()}}
				return
			}
			results <- result{file, plan.Password{Password: p}}
		}()
	}
	late := time.NewTimer(passwordWithin)
	defer late.Stop()
	for range files {
		select {
		case r := <-results:
			all[r.file] = r.password
		case <-late.C: // the blocked readers cannot be canceled
			return all
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
