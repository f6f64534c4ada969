// Command sbom prints what is linked into programs, which it reads from the programs themselves, as a CycloneDX document.
package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// A component is an entry of the document. The fields are those of CycloneDX 1.5.
type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

type document struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Components  []component `json:"components"`
}

func main() {
	doc, err := describe(os.Args[1:])
	if err == nil {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(doc)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// describe returns the modules of the programs and Go's own standard library.
func describe(programs []string) (document, error) {
	found := map[string]component{}
	for _, path := range programs {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return document{}, fmt.Errorf("%s: %w", path, err)
		}
		version := strings.TrimPrefix(info.GoVersion, "go")
		found["stdlib"] = component{"library", "stdlib", version, "pkg:golang/stdlib@" + version}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			found[m.Path] = component{"library", m.Path, m.Version, "pkg:golang/" + m.Path + "@" + m.Version}
		}
	}
	doc := document{Format: "CycloneDX", SpecVersion: "1.5", Version: 1, Components: []component{}}
	for _, path := range slices.Sorted(maps.Keys(found)) {
		doc.Components = append(doc.Components, found[path])
	}
	return doc, nil
}
