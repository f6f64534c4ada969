package ipvs

import (
	"cmp"
	"net"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/moby/ipvs"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/lvs"
)

// We read what moby/ipvs writes, it reads what we write, and both agree on the meaning.
func TestParityWithMoby(t *testing.T) {
	table := openTable(t)
	moby, err := ipvs.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer moby.Close()

	grouped := service(3307, "wlc", server("10.77.0.11", config.TUN, 0))
	grouped.Persistence, grouped.Netmask = 50*time.Second, 24
	want := []lvs.Service{
		service(3306, ipvs.WeightedRoundRobin, server("10.77.0.11", config.DR, 3), server("10.77.0.12", config.NAT, 65535)),
		grouped,
	}
	for _, s := range want {
		service := toService(s)
		if err := moby.NewService(&service); err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Servers {
			destination := toDestination(r)
			if err := moby.NewDestination(&service, &destination); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := diffTables(want, read(t, table)); diff != "" {
		t.Fatalf("written by moby/ipvs, read by us: %s", diff)
	}
	before := readByMoby(t, moby)

	become(t, table, nil)
	become(t, table, want)
	if diff := gocmp.Diff(before, readByMoby(t, moby)); diff != "" {
		t.Errorf("read by moby/ipvs, written by moby/ipvs against written by us: %s", diff)
	}
	if len(before) != len(want) || len(before[0].Destinations) != 2 || !before[0].Service.Address.Equal(net.IPv4(10, 77, 0, 100)) {
		t.Errorf("moby/ipvs reads %+v", before)
	}
}

type mobyService struct {
	Service      ipvs.Service
	Destinations []ipvs.Destination
}

func readByMoby(t *testing.T, moby *ipvs.Handle) []mobyService {
	t.Helper()
	services, err := moby.GetServices()
	if err != nil {
		t.Fatal(err)
	}
	var all []mobyService
	for _, s := range services {
		destinations, err := moby.GetDestinations(s)
		if err != nil {
			t.Fatal(err)
		}
		one := mobyService{Service: *s}
		for _, d := range destinations {
			one.Destinations = append(one.Destinations, *d)
		}
		slices.SortFunc(one.Destinations, func(a, b ipvs.Destination) int { return cmp.Compare(a.Address.String(), b.Address.String()) })
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b mobyService) int { return cmp.Compare(a.Service.Port, b.Service.Port) })
	return all
}
