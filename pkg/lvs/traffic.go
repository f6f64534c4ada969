package lvs

// Traffic is what the kernel has counted for a service or a real server since it was added to the table. The rates are per
// second; the kernel computes them every two seconds from the counters, with a weight of a quarter for the newest value
// (ip_vs_est.c). With DR and TUN answers bypass the director: what is out is 0.
type Traffic struct {
	Connections                                                          uint64
	PacketsIn, PacketsOut, BytesIn, BytesOut                             uint64
	ConnectionRate, PacketRateIn, PacketRateOut, ByteRateIn, ByteRateOut uint64
}
