package status

// Table is the IPVS table of a director's machine, the document of `lvsctl table`.
type Table struct {
	Rules []string `json:"rules"` // as `ipvsadm -R` reads them; "#" begins a comment
}

// Zeroed says whose counters were set to zero, the document of `lvsctl zero`.
type Zeroed struct {
	VirtualServers []string `json:"virtual_servers"` // their names
}

// Difference is what a reload would change in the IPVS table, the document of `lvsctl diff`.
type Difference struct {
	// Changes are the ipvsadm commands that the reload would amount to, in order.
	Changes []string `json:"changes"`
	// AfterChecks are those that follow when the checks of new real servers pass for the first time.
	AfterChecks []string `json:"after_checks"`
	// RealServers is how many the running file has, Removed which of them would go, as "virtual server/real server".
	RealServers int      `json:"real_servers"`
	Removed     []string `json:"removed"`
	// NeedsForce: `lvsctl reload` refuses it without --force, because so many would go.
	NeedsForce bool `json:"needs_force"`
}
