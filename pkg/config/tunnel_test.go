package config_test

import (
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

func TestTunnel(t *testing.T) {
	for _, tt := range []struct {
		tunnel   config.Tunnel
		text     string
		overhead int
	}{
		{config.Tunnel{}, "ipip", 20},
		{config.Tunnel{Type: config.GRE}, "gre", 24},
		{config.Tunnel{Type: config.GRE, Checksum: config.FullChecksum}, "gre, full checksum", 28},
		{config.Tunnel{Type: config.GUE, Port: 5555}, "gue port 5555", 32},
		{config.Tunnel{Type: config.GUE, Port: 5555, Checksum: config.FullChecksum}, "gue port 5555, full checksum", 32},
		{config.Tunnel{Type: config.GUE, Port: 5555, Checksum: config.RemoteChecksum}, "gue port 5555, remote checksum", 40},
	} {
		if text, overhead := tt.tunnel.String(), tt.tunnel.Overhead(); text != tt.text || overhead != tt.overhead {
			t.Errorf("%s: %d", text, overhead)
		}
	}
}
