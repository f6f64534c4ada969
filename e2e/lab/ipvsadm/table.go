package ipvsadm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// A Table is an IPVS table as `ipvsadm -Ln` prints it.
type Table struct {
	Text     string
	Services []Service
}

// A Service is one virtual server of a table.
type Service struct {
	Protocol   string // TCP, UDP, SCTP, FWM
	Address    string // "10.77.0.100:3306", or the number of a firewall mark
	Scheduler  string // "wrr"
	Persistent int    // seconds; 0 = not persistent
	Flags      string // the rest of the line
	Servers    []Server
}

// A Server is one real server of a service.
type Server struct {
	Address  string // "10.77.0.11:3306"
	Forward  string // Route, Masq, Tunnel or Local
	Weight   int
	Active   int // active connections
	Inactive int // inactive connections
}

// Read reads the host's table with ipvsadm(8).
func Read(h *lab.Host) Table {
	h.T().Helper()
	table, err := parseTable(h.Run("ipvsadm", "-Ln"))
	if err != nil {
		h.T().Fatalf("lab: table of %s: %v", h.Name, err)
	}
	return table
}

// Service returns the service with that address, or the zero Service.
func (t Table) Service(address string) Service {
	for _, service := range t.Services {
		if service.Address == address {
			return service
		}
	}
	return Service{}
}

// Server returns the real server with that address, or the zero Server.
func (s Service) Server(address string) Server {
	for _, server := range s.Servers {
		if server.Address == address {
			return server
		}
	}
	return Server{}
}

// Exists reports whether the service was found.
func (s Service) Exists() bool { return s.Address != "" }

// Exists reports whether the real server was found.
func (s Server) Exists() bool { return s.Address != "" }

// Rule returns the configured part of a table without connection counts, one line per service and server, for comparing
// the tables of two directors.
func (t Table) Rule() string {
	var b strings.Builder
	for _, service := range t.Services {
		fmt.Fprintf(&b, "%s %s %s persistent %d %s\n", service.Protocol, service.Address, service.Scheduler, service.Persistent, service.Flags)
		for _, server := range service.Servers {
			fmt.Fprintf(&b, "  %s %s %d\n", server.Address, server.Forward, server.Weight)
		}
	}
	return b.String()
}

func parseTable(text string) (Table, error) {
	table := Table{Text: text}
	for number, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		var err error
		switch {
		case len(words) == 0, words[0] == "IP", words[0] == "Prot", len(words) > 1 && words[1] == "RemoteAddress:Port":
		case words[0] == "->":
			err = table.addServer(words)
		default:
			err = table.addService(words)
		}
		if err != nil {
			return Table{}, fmt.Errorf("line %d %q: %w", number+1, line, err)
		}
	}
	return table, nil
}

func (t *Table) addService(words []string) error {
	if len(words) < 3 {
		return fmt.Errorf("a service has at least three words")
	}
	service := Service{Protocol: words[0], Address: words[1], Scheduler: words[2]}
	rest := words[3:]
	for i := 0; i < len(rest); i++ {
		if rest[i] == "persistent" && i+1 < len(rest) {
			seconds, err := strconv.Atoi(rest[i+1])
			if err != nil {
				return err
			}
			service.Persistent = seconds
			i++
			continue
		}
		service.Flags = strings.TrimSpace(service.Flags + " " + rest[i])
	}
	t.Services = append(t.Services, service)
	return nil
}

func (t *Table) addServer(words []string) error {
	if len(t.Services) == 0 || len(words) < 6 {
		return fmt.Errorf("a real server has six words and a service before it")
	}
	server := Server{Address: words[1], Forward: words[2]}
	for i, field := range []*int{&server.Weight, &server.Active, &server.Inactive} {
		value, err := strconv.Atoi(words[3+i])
		if err != nil {
			return err
		}
		*field = value
	}
	service := &t.Services[len(t.Services)-1]
	service.Servers = append(service.Servers, server)
	return nil
}
