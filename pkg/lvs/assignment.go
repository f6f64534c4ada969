package lvs

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
)

// AssignmentOf returns a digest of what mh assigns clients by: the real servers in the order of the kernel's list, with their
// weights (ip_vs_mh_permutate). Directors with the same one assign new clients alike, unless the weight of a real server was
// changed in the cluster file while it was 0 in the table of one of them.
func AssignmentOf(servers []Server) string {
	h := fnv.New32a()
	for _, s := range servers {
		_, _ = fmt.Fprintf(h, "%s %d\n", s.AddrPort(), s.Weight)
	}
	return hex.EncodeToString(h.Sum(nil))
}
