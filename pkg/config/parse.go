package config

import (
	"crypto/sha256"
	"encoding/hex"
	"math"

	"gopkg.in/yaml.v3"
)

// Parse parses the bytes of a cluster file. file is the name used in problems; it is not opened.
//
// It returns all problems in the order of their positions. If one of them is an error, the Config is nil; otherwise it
// is complete.
func Parse(file string, data []byte) (*Config, Problems) {
	return parse(newClusterFile(), file, data)
}

func parse(sections *clusterFile, file string, data []byte) (*Config, Problems) {
	r := &reader{name: file, file: sections, confusableLines: map[int]bool{}}
	c := r.read(data)
	r.problems.sort()
	if c == nil || r.problems.Failed() {
		return nil, r.problems
	}
	c.File, c.Digest = file, DigestOf(data)
	return c, r.problems
}

// DigestOf returns the Config.Digest of a cluster file with this content.
func DigestOf(data []byte) string {
	digest := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(digest[:])
}

func (r *reader) read(data []byte) *Config {
	root := r.document(data)
	if root == nil {
		return nil
	}
	file := value{r: r}.at(root, "")
	if !file.checkVersion() {
		return nil
	}
	top, ok := file.object(&r.file.top.section)
	if !ok {
		return nil
	}
	top.meant["version"] = true // validated by checkVersion
	var c contents
	r.file.top.take(top, &c)
	return c.config()
}

// validate applies the rules across sections.
func (c *contents) validate(top object) {
	c.checkPurpose(top)
	c.checkAddresses()
	c.checkRouters()
	c.checkRouting()
	c.checkVirtualLinks()
	c.checkTransports()
	c.checkOwners()
	c.checkStrict()
	c.checkLowest()
	c.resolveStartupDelay()
	c.resolveSyncGroups()
	c.resolveConnectionSync()
	c.checkTracks()
	c.checkTakeOverRecords()
	c.checkGateways()
	c.checkDeafDelays()
	c.checkWatched()
	c.checkSuspends()
	c.checkWeights()
	c.checkBFD()
	c.checkHooks(top)
	c.nameSorryServers()
	c.checkMachines()
	c.checkLocalServers()
	c.checkMixedFamilies()
	c.warnSNAT()
	c.checkIdle(top)
}

// checkVersion reads the version before anything else, because the rules for other keys are those of version 1.
func (v value) checkVersion() bool {
	for i := 0; v.node.Kind == yaml.MappingNode && i+1 < len(v.node.Content); i += 2 {
		if v.node.Content[i].Value != "version" {
			continue
		}
		version := v.at(v.node.Content[i+1], "version")
		switch n, ok := version.whole(1, math.MaxInt32); {
		case !ok:
			return false
		case n != 1:
			version.fail("", "%d is not supported: this program reads version 1", n)
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
	out := &Config{Directors: bare(c.directors), Timeouts: c.timeouts, Hooks: c.hooks, Mail: c.mail, Metrics: c.metrics, API: c.api, StopTimeout: c.stopTimeout, MaintenanceDir: c.maintenanceDir}
	if len(c.directors) > 0 {
		out.DirectorsAt = c.directors[0].at.position()
		out.DirectorsAt.Path = "directors"
	}
	for _, i := range c.instances {
		out.Instances = append(out.Instances, i.v.Instance)
	}
	for _, s := range c.services {
		for _, rs := range s.v.members() {
			s.v.RealServers = append(s.v.RealServers, rs.v.RealServer)
		}
		out.VirtualServers = append(out.VirtualServers, s.v.VirtualServer)
	}
	for _, t := range c.tracks {
		out.Tracks = append(out.Tracks, t.v.Track)
	}
	out.BFDSessions = bare(c.bfd)
	if c.sync != nil {
		out.ConnectionSync = &c.sync.v
	}
	for _, g := range c.groups {
		out.SyncGroups = append(out.SyncGroups, g.v.SyncGroup)
	}
	return out
}

// bare returns the values of a list without their positions.
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
