package systemd_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/systemd"
)

func TestMain(m *testing.M) {
	if code, ok := lab.Role(systemd.Roles()); ok {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
