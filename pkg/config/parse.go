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
	r := &reader{file: file, oddLines: map[int]bool{}}
	c := r.read(data)
	r.problems.sort()
	if c == nil || r.problems.Failed() {
		return nil, r.problems
	}
	digest := sha256.Sum256(data)
	c.File, c.Digest = file, "sha256:"+hex.EncodeToString(digest[:])
	return c, r.problems
}

// contents is what a file says, each part with its place, before the rules that tie the parts together.
type contents struct {
	directors []placed[Director]
	instances []placed[Instance]
	services  []virtualServer
	tracks    []placed[Track]
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
	top, ok := file.object("a mapping that begins with version: 1", topSection)
	if !ok {
		return nil
	}
	c := contents{
		directors: required(top, "directors", "the machines that may hold the virtual addresses, each with name and address", readDirectors),
		tracks:    optional(top, "tracks", nil, readTracks),
	}
	c.instances = optional(top, "vrrp_instances", nil, func(v value) []placed[Instance] { return readInstances(v, c.directors) })
	c.services = optional(top, "virtual_servers", nil, readVirtualServers)
	c.checkPurpose(top)
	c.checkAddresses()
	c.checkRouters()
	c.checkOwners()
	c.checkTracks()
	c.checkMachines()
	return c.config()
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

func (c contents) config() *Config {
	out := &Config{
		Directors: bare(c.directors),
		Instances: bare(c.instances),
		Tracks:    bare(c.tracks),
	}
	for _, s := range c.services {
		s.v.RealServers = bare(s.servers)
		out.VirtualServers = append(out.VirtualServers, s.v)
	}
	return out
}

// bare strips the places off a list.
func bare[T any](list []placed[T]) []T {
	var out []T
	for _, p := range list {
		out = append(out, p.v)
	}
	return out
}
