package probe

import (
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/health"
)

// Command runs the command.
func (p *prober) Command(c config.CommandCheck) {
	if p.means.Run == nil {
		p.result = start(p.ctx, "command").result(health.Local, health.Unknown, "nothing here can run commands")
		return
	}
	p.result = p.means.Run(p.ctx, p.target, c)
}
