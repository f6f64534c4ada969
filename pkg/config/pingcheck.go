package config

// Ping is the type of a PingCheck.
const Ping CheckType = "ping"

// PingCheck asks for an ICMP echo.
type PingCheck struct {
	noSecret
}

// Type returns Ping.
func (PingCheck) Type() CheckType { return Ping }

// Network returns OverICMP.
func (PingCheck) Network() Network { return OverICMP }

// Probe calls p.Ping.
func (c PingCheck) Probe(p Prober) { p.Ping(c) }

func (PingCheck) sealed() {}

func pingKind() checkKind {
	return kindOf[PingCheck]{
		name: Ping, doc: "the server answers an ICMP echo request",
		serverOnly: true, // for a track there is gateway
	}.declare()
}
