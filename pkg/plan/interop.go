package plan

import "github.com/lvs-director/lvs-director/pkg/vrrp"

// vary applies the variants of VRRP that the file asks for.
func (i *Instance) vary() {
	p, cfg := &i.Params, i.Config.Variants
	p.DownAdverts = cfg.DownTimerAdverts
	p.HigherPrioNoAdvert, p.LowerPrioNoAdvert, p.OwnerIgnoresAdverts = !cfg.HigherPrioSendAdvert, cfg.LowerPrioNoAdvert, cfg.OwnerIgnoreAdverts
	if cfg.PlainChecksum {
		p.Checksum = vrrp.PlainChecksum
	}
}
