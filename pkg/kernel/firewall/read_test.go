package firewall

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuiltIn: a kernel that contains nf_tables has no directory for it in /sys/module.
func TestBuiltIn(t *testing.T) {
	dir := t.TempDir()
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if builtIn(dir, "nf_tables") {
		t.Error("without a list")
	}
	of := filepath.Join(dir, strings.TrimSpace(string(release)))
	list := "kernel/net/netfilter/nfnetlink.ko\nkernel/net/netfilter/nf_tables.ko\n"
	if err = os.Mkdir(of, 0o755); err == nil {
		err = os.WriteFile(filepath.Join(of, "modules.builtin"), []byte(list), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !builtIn(dir, "nf_tables") || builtIn(dir, "nf_tables_x") || builtIn(dir, "tables") {
		t.Error("the list is not understood")
	}
}
