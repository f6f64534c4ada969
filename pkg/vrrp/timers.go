package vrrp

import "time"

// downAdverts is how many adverts in a row must be missing before a MASTER is considered down (RFC 9568 6.1), unless
// Params.DownAdverts says otherwise. What is reported about other routers depends on it alone.
const downAdverts = 3

// SkewTime is how much longer a BACKUP of the given priority waits than one of priority 256 would, so that the one with
// the highest priority takes over first. Version 3 scales it by the MASTER's interval (RFC 9568 6.1); version 2 does
// not: it is up to 1 s whatever the interval (RFC 3768 6.1).
func SkewTime(version, priority uint8, masterInterval time.Duration) time.Duration {
	unit := masterInterval
	if version == 2 {
		unit = time.Second
	}
	return time.Duration(256-int(priority)) * unit / 256
}

// MasterDownInterval is how long a BACKUP of the given priority waits without an advert before it takes over from a
// MASTER that advertises every masterInterval: as many intervals as adverts must be missing, plus the skew.
func MasterDownInterval(version, priority uint8, masterInterval time.Duration, adverts uint8) time.Duration {
	return time.Duration(adverts)*masterInterval + SkewTime(version, priority, masterInterval)
}
