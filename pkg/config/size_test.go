package config_test

import (
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/config"
)

// bigFile has a thousand virtual servers with the given number of real servers each.
func bigFile(servers int) []byte {
	var b strings.Builder
	b.WriteString("version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\ntimeouts: {tcp: 8h}\nvirtual_servers:\n")
	for i := range 1000 {
		b.WriteString(strings.ReplaceAll("- {name: sN, address: 10.1.0.1, port: ", "N", portText(uint16(i))) + portText(uint16(i+1000)) +
			", scheduler: wrr, forward: dr, checks: [{type: mysql, user: c, password_file: /p}], real_servers: [\n")
		for k := range servers {
			b.WriteString("  {name: r" + portText(uint16(k)) + ", address: 10.2.0." + portText(uint16(k+1)) + ", weight: 3},\n")
		}
		b.WriteString("]}\n")
	}
	return []byte(b.String())
}

func TestTenThousandRealServers(t *testing.T) {
	c, problems := config.Parse("f", bigFile(10))
	if c == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	if got, want := c.Summary(), "f: ok: 1 director, 1000 virtual servers, 10 real servers"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// 1 000 virtual servers with 4 real servers each.
func BenchmarkParse(b *testing.B) {
	data := bigFile(4)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if c, problems := config.Parse("f", data); c == nil {
			b.Fatal(problems)
		}
	}
}

// A small file: what the declarations of all keys cost, which are made for each file.
func BenchmarkParseSmall(b *testing.B) {
	data := []byte("version: 1\ndirectors: [{name: a, address: 10.0.0.1}]\nvirtual_servers: [{name: s, address: 10.1.0.1, port: 80, scheduler: rr, " +
		"forward: dr, checks: [{type: tcp}], real_servers: [{name: r, address: 10.2.0.1}]}]\n")
	b.ReportAllocs()
	for b.Loop() {
		if c, problems := config.Parse("f", data); c == nil {
			b.Fatal(problems)
		}
	}
}
