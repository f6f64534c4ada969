package config

import (
	"crypto/sha256"
	"encoding/hex"
	"math"

	"gopkg.in/yaml.v3"
)

// Parse reads the bytes of a cluster file; file is the name that problems are reported under, nothing is opened.
//
// The problems are all that were found, in the order of their positions. If one of them is an error the Config is nil;
// with none, or with warnings only, it is complete.
func Parse(file string, data []byte) (*Config, Problems) {
	return parse(newClusterFile(), file, data)
}

func parse(sections *clusterFile, file string, data []byte) (*Config, Problems) {
	r := &reader{name: file, file: sections, oddLines: map[int]bool{}}
	c := r.read(data)
	r.problems.sort()
	if c == nil || r.problems.Failed() {
		return nil, r.problems
	}
	digest := sha256.Sum256(data)
	c.File, c.Digest = file, "sha256:"+hex.EncodeToString(digest[:])
	return c, r.problems
}

func (r *reader) read(data []byte) *Config {
	root := r.document(data)
	if root == nil {
		return nil
	}
	file := value{r: r}.at(root, "")
	if !file.isThisVersion() {
		return nil
	}
	top, ok := file.object(&r.file.top.section)
	if !ok {
		return nil
	}
	top.meant["version"] = true // judged by isThisVersion
	var c contents
	r.file.top.take(top, &c)
	return c.config()
}

// judge applies the rules that tie the parts of a file together.
func (c *contents) judge(top object) {
	c.checkPurpose(top)
	c.checkAddresses()
	c.checkRouters()
	c.checkOwners()
	c.checkTracks()
	c.checkMachines()
}

// isThisVersion reads the version before anything else: the rules for other keys are those of version 1.
func (v value) isThisVersion() bool {
	for i := 0; v.node.Kind == yaml.MappingNode && i+1 < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value != "version" {
			continue
		}
		version := v.at(v.node.Content[i+1], "version")
		switch n, ok := version.whole(1, math.MaxInt32); {
		case !ok:
			return false
		case n != 1:
			version.fail("", "%d is not a version that this program reads: it reads version 1", n)
			return false
		}
		return true
	}
	if v.node.Kind == yaml.MappingNode {
		at := v
		at.path = "version"
		at.fail("begin the file with version: 1", "is required")
	}
	return true
}

func (c *contents) config() *Config {
	out := &Config{Directors: bare(c.directors)}
	for _, i := range c.instances {
		out.Instances = append(out.Instances, i.v.Instance)
	}
	for _, s := range c.services {
		for _, rs := range s.v.servers {
			s.v.RealServers = append(s.v.RealServers, rs.v.RealServer)
		}
		out.VirtualServers = append(out.VirtualServers, s.v.VirtualServer)
	}
	for _, t := range c.tracks {
		out.Tracks = append(out.Tracks, t.v.Track)
	}
	return out
}

// bare strips the places off a list.
func bare[T any](list []placed[T]) []T {
	if len(list) == 0 {
		return nil
	}
	out := make([]T, len(list))
	for i, p := range list {
		out[i] = p.v
	}
	return out
}
