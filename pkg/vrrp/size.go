package vrrp

import "github.com/lvs-director/lvs-director/pkg/kernel"

// AdvertSize is the size of an advert with its IP header, in bytes: that which an interface's MTU must hold.
func AdvertSize(version uint8, family kernel.Family, addresses int) int {
	header, each := 20, 4
	if family == kernel.IPv6 {
		header, each = 40, 16
	}
	size := header + headerLen + addresses*each
	if version == 2 {
		size += authLenV2
	}
	return size
}

// MostAddresses is how many addresses an advert can list on an interface with this MTU, at most 255.
func MostAddresses(version uint8, family kernel.Family, mtu int) int {
	each := AdvertSize(version, family, 1) - AdvertSize(version, family, 0)
	return max(0, min(255, (mtu-AdvertSize(version, family, 0))/each))
}
