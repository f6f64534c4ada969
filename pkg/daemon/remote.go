package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/lvs-director/lvs-director/pkg/api"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/problem"
	"github.com/lvs-director/lvs-director/pkg/scrape"
)

// reachable is a service that can answer other machines.
type reachable interface {
	// APIAt returns where a cluster file wants that; invalid: nowhere.
	APIAt(cfg *config.Config) netip.AddrPort
}

var (
	errNoClientCerts = errors.New("other machines are answered only by TLS with certificates on both sides: write cert_file, key_file, client_ca_file and client_auth_type: RequireAndVerifyClientCert under tls_server_config")
	errPasswords     = errors.New("clients are known by their certificates: remove basic_auth_users")
	errCertificate   = errors.New("its certificate is not accepted now")
)

// remoteOffer is what the cluster file offers other machines under api.
func remoteOffer(r reachable, p *publisher, h api.Handlers, log *slog.Logger) *offer {
	return &offer{
		name: "requests of other machines", key: "api", code: problem.APINotOffered, lost: "other machines are not answered",
		at:     func(cfg *config.Config) (netip.AddrPort, string) { return r.APIAt(cfg), cfg.API.WebConfig },
		accept: acceptForAPI,
		serve: func(ctx context.Context, l net.Listener, at place) error {
			web := func() (scrape.Web, error) {
				w, err := p.web(at.web)
				if err == nil {
					err = acceptForAPI(w)
				}
				return w, err
			}
			return api.ServeRemote(ctx, l, h, api.Remote{
				TLS: func() (*tls.Config, error) {
					w, err := web()
					return w.Config(), err
				},
				Accepts: func(c *tls.ConnectionState) error {
					w, err := web()
					if err == nil && !w.Accepts(c) {
						err = errCertificate
					}
					return err
				},
				Admins: func() []string {
					cfg := p.running()
					if cfg == nil {
						return nil
					}
					return cfg.API.Admins
				},
			}, log)
		},
	}
}

func acceptForAPI(w scrape.Web) error {
	switch {
	case !w.VerifiesClients():
		return errNoClientCerts
	case w.HasUsers():
		return errPasswords
	}
	return nil
}
