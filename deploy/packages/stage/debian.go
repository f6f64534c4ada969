package main

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

const maintainer = "lvs-director developers <lvs-director@users.noreply.github.com>"

// debian adds what Debian's policy asks for beside the programs: the copyright file and the changelogs.
func debian(files map[string][]byte, version string, at time.Time) error {
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	files["changelog"] = changes
	files["changelog.Debian"] = fmt.Appendf(nil, `lvs-director (%s-1) stable; urgency=medium

  * See changelog.gz and the commits.

 -- %s  %s
`, version, maintainer, at.Format(time.RFC1123Z))
	files["copyright"] = []byte(copyright)
	var overrides bytes.Buffer
	for _, o := range overridden {
		fmt.Fprintf(&overrides, "# %s\nlvs-director: %s\n", o.reason, o.tag)
	}
	files["lintian-overrides"] = overrides.Bytes()
	return nil
}

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: lvs-director
Source: https://github.com/lvs-director/lvs-director
Comment: The programs contain the Go libraries that /usr/share/doc/lvs-director/NOTICE
 lists, with their licences.

Files: *
Copyright: 2026 lvs-director authors
License: Apache-2.0

License: Apache-2.0
 On Debian systems, the full text of the Apache License, Version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`

// overridden are the tags of lintian that do not apply, each with the reason.
var overridden = []struct{ tag, reason string }{
	{"statically-linked-binary *", "Go programs without cgo: they run on every distribution"},
	{"initial-upload-closes-no-bugs *", "The package is not in Debian"},
	{"maintainer-script-calls-systemctl *", "A removal must stop the daemons also where deb-systemd-invoke is not installed"},
	{"unknown-field License", "nfpm writes it"},
}
