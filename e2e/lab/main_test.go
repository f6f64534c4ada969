package lab_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

func TestMain(m *testing.M) {
	if code, ok := lab.Role(measure.Roles(), standin.Roles()); ok {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
