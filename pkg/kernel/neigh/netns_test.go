package neigh

import (
	"testing"

	"github.com/lvs-director/lvs-director/pkg/kernel/internal/netnstest"
)

type host = netnstest.Host

func newHost(t *testing.T) host { t.Helper(); return netnstest.New(t) }
