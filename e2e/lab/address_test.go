package lab

import (
	"fmt"
	"testing"
)

func TestParseAddresses(t *testing.T) {
	got, err := parseAddresses(`1: lo    inet 127.0.0.1/8 scope host lo\       valid_lft forever preferred_lft forever
2: eth0    inet 10.77.0.2/24 scope global eth0\       valid_lft forever preferred_lft forever
2: eth0    inet 10.77.0.100/32 scope global dynamic eth0\       valid_lft 4sec preferred_lft 4sec
2: eth0    inet6 fe80::4c:aff:fe4d:2/64 scope link \       valid_lft forever preferred_lft forever
3: tun0    inet 10.9.0.1 peer 10.9.0.2/32 scope global tun0\       valid_lft forever preferred_lft forever
`)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(got); text != "[127.0.0.1/8 10.77.0.2/24 10.77.0.100/32 10.9.0.1/32]" {
		t.Error(text)
	}
}
