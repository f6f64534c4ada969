package sysctl

import (
	"fmt"
	"path/filepath"
	"strings"
)

// path returns the file of a key relative to the root. As in sysctl(8), the first separator in the key determines its
// meaning: if it is a dot, slashes stand for dots.
func path(key string) (string, error) {
	p := key
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		p = strings.Map(swap, key)
	}
	// A single part is a directory, never a parameter. Clean changes keys that are not plain paths: empty parts, "." and
	// trailing slashes.
	if !strings.Contains(p, "/") || strings.ContainsRune(p, 0) || !filepath.IsLocal(p) || filepath.Clean(p) != p {
		return "", fmt.Errorf("%q is not a kernel parameter; write it as net.ipv4.ip_forward or net/ipv4/conf/eth0.5/arp_ignore", key)
	}
	return p, nil
}

func swap(r rune) rune {
	switch r {
	case '.':
		return '/'
	case '/':
		return '.'
	}
	return r
}

// same compares values as the kernel reads them: lists such as tcp_rmem are separated by any white space.
func same(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
