package lvs

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
)

// AssignmentOf returns a digest of what mh assigns clients by: the real servers in the order of the kernel's list, with their
// weights. Directors with the same one assign new clients alike while no weight is 0. For an entry with weight 0 the kernel uses
// the last one that was not 0 (ip_vs_mh_permutate), which it does not tell: that may differ between directors if the weight is given
// by a check or an operator, or was changed in the cluster file while it was 0 in the table of one of them.
func AssignmentOf(servers []Server) string {
	h := fnv.New32a()
	for _, s := range servers {
		_, _ = fmt.Fprintf(h, "%s %d\n", s.AddrPort(), s.Weight)
	}
	return hex.EncodeToString(h.Sum(nil))
}
