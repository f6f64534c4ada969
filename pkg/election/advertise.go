package election

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/kernel"
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

func (a *Actor) advertise(priority uint8) {
	packet := vrrp.Packet{
		Version: a.params.Version, VRID: a.params.VRID, Priority: priority,
		Interval: a.params.AdvertInterval, Addresses: a.addresses, AuthType: a.params.AuthType, Password: a.params.Password,
	}
	sent, err := a.sendTo(a.peers.Transport.Destinations(kernel.FamilyOf(a.params.Source)), packet)
	if sent || err == nil {
		a.sent.Add(1)
	}
	if err != nil {
		if text := err.Error(); text != a.sendError {
			a.sendError = text
			a.log.Error("cannot send adverts", "error", err)
		}
		return
	}
	if a.sendError != "" {
		a.log.Info("adverts can be sent again")
		a.sendError = ""
	}
}

// sendTo sends an advert to all destinations. An error does not keep it from the others; sent reports whether one of them
// was sent it.
func (a *Actor) sendTo(destinations []netip.Addr, packet vrrp.Packet) (sent bool, err error) {
	for _, to := range destinations {
		payload, failed := packet.Append(nil, a.params.Source, to, a.params.Checksum)
		if failed == nil {
			failed = a.send(payload, to)
		}
		if failed != nil {
			if err != nil {
				failed = fmt.Errorf("%w; %w", err, failed)
			}
			err = failed
			continue
		}
		sent = true
		if a.log.Enabled(context.Background(), slog.LevelDebug) {
			a.log.Debug("sent an advert", "to", to, "priority", packet.Priority)
		}
	}
	return sent, err
}

func (a *Actor) send(payload []byte, to netip.Addr) error {
	if from := a.peers.Transport.From; from != (kernel.MAC{}) && to.IsMulticast() {
		return a.wire.SendFrom(from, payload, a.params.Source, to)
	}
	return a.wire.Send(payload, a.params.Source, to)
}
