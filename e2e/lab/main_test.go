package lab_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(leakless{m})) }

// leakless fails the run when the lab left a goroutine behind.
type leakless struct{ *testing.M }

func (m leakless) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return code
}
