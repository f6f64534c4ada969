package netnstest

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/internal/require"
)

// nft is nft(8), which is not in every PATH.
const nft = "/usr/sbin/nft"

// NewNFT is New for a test of nf_tables of the family inet. It skips the test where the kernel has none, or nft(8) is missing.
func NewNFT(t *testing.T) Host {
	t.Helper()
	h := New(t)
	OnStockKernel(t, "nf_tables of the family inet")
	if _, err := os.Stat(nft); err != nil {
		require.Skip(t, require.NFTables, "%v", err)
	}
	if err := h.Enter(func() error { return exec.Command(nft, "add table inet probe; delete table inet probe").Run() }); err != nil {
		require.Skip(t, require.NFTables, "nft add table inet: %v", err)
	}
	return h
}

// OnStockKernel skips a test on user-mode-linux, which does not have something that the test needs. The target soak of the Makefile
// finds the packages that call NewNFT or OnStockKernel and runs them on the second kernel, where LVS_REQUIRE=all makes a skip a failure.
func OnStockKernel(t *testing.T, what string) {
	t.Helper()
	if version, _ := os.ReadFile("/proc/version"); os.Getenv("LVS_LAB_INSIDE") == "guest" && !strings.Contains(string(version), "debian.org") {
		t.Skipf("user-mode-linux has no %s; `make soak` runs this test on the second kernel", what)
	}
}

// NFT runs a command of nft(8) in the host and returns its output.
func (h Host) NFT(t *testing.T, command string) (out string) {
	t.Helper()
	h.Do(t, func() error {
		text, err := exec.Command(nft, command).CombinedOutput()
		if out = string(text); err != nil {
			t.Log(out)
		}
		return err
	})
	return out
}

// sortedElements sorts the elements of the sets in what nft(8) prints: their order depends on a random number of the kernel.
func sortedElements(listing string) string {
	return regexp.MustCompile(`(?s)elements = \{.*?\}`).ReplaceAllStringFunc(listing, func(set string) string {
		var elements []string
		for e := range strings.SplitSeq(strings.Trim(strings.TrimPrefix(set, "elements ="), " {}"), ",") {
			elements = append(elements, strings.TrimSpace(e))
		}
		slices.Sort(elements)
		return "elements = { " + strings.Join(elements, ", ") + " }"
	})
}
