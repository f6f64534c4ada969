package ctl

import (
	"fmt"
	"io"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/status"
)

// printKernel says what a director's kernel does not have, and of what that is not known. The document has all features.
func printKernel(w io.Writer, k *status.Kernel) {
	if k == nil {
		return
	}
	title := ""
	named := map[string][]string{}
	for _, f := range k.Features {
		if f.Name == "ipvs" {
			title = f.Why
			continue
		}
		named[f.Has] = append(named[f.Has], f.Name)
	}
	fmt.Fprintf(w, "\nKERNEL %s  IPVS: %s\n", k.Release, title)
	for _, group := range [][2]string{{"absent", "does not have"}, {"unknown", "not known"}} {
		if all := named[group[0]]; len(all) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", group[1], strings.Join(all, ", "))
		}
	}
}
