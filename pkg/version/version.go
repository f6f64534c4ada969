// Package version has the version of the build and does nothing else.
package version

import "runtime/debug"

// number is set by the linker: -X github.com/lvs-director/lvs-director/pkg/version.number=1.2.3.
var number = ""

// String returns the version of the build, or "devel" and the commit for a build without a version number.
func String() string {
	if number != "" {
		return number
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
