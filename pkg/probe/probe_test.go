package probe

import (
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

// Make runs the probe of a kind with the parameters of the kind.
func TestMake(t *testing.T) {
	s := server(t, mysqltest.Script{User: user, Password: password, Plugin: mysqltest.Native})
	for _, tt := range []struct {
		kind  config.CheckKind
		code  health.Code
		class health.Class
		cause string
	}{
		{config.MySQLCheck{User: user}, health.OK, health.Good, `mysql: answered in .*`},
		{config.MySQLCheck{User: "nobody"}, health.Auth, health.Unknown, `mysql: login to .* as nobody: .*`},
		{config.TCPCheck{}, health.OK, health.Good, `tcp: connected in .*`},
		{nil, health.Local, health.Unknown, `no kind of check`},
	} {
		check(t, Make(within(t, 5*time.Second), &Target{Address: s.Address(), Kind: tt.kind, Password: password}), tt.code, tt.class, tt.cause)
	}
}
