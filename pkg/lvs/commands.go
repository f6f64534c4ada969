package lvs

import "fmt"

// Commands returns the lines from which `ipvsadm -R` makes the same table, in the given order. In contrast to
// `ipvsadm -Sn` they include thresholds. What neither this model nor ipvsadm can express is a comment after its line.
func Commands(services []Service) []string {
	var lines []string
	for _, service := range services {
		lines = append(lines, fmt.Sprintf("-A %s%s", service.Key.rule(), service.rule()))
		lines = appendStray(lines, service.Stray)
		for _, server := range service.Servers {
			lines = append(lines, fmt.Sprintf("-a %s -r %s%s%s", service.Key.rule(), server.AddrPort(), server.rule(), server.thresholds()))
			lines = appendStray(lines, server.Stray)
		}
	}
	return lines
}

func appendStray(lines []string, stray string) []string {
	if stray == "" {
		return lines
	}
	return append(lines, "# the line above lacks: "+stray)
}
