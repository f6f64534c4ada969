package features

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"strings"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// modules are those of the kernel that this package asks for.
type modules struct {
	dir              string // of the lists
	builtIn, present map[string]bool
	known            bool // the lists can be read
}

// modules reads the lists of modules.
func (h Host) modules() modules {
	m := modules{dir: "lib/modules/" + h.Release}
	var err error
	m.builtIn, _ = h.list(m.dir + "/modules.builtin")
	m.present, err = h.list(m.dir + "/modules.dep")
	m.known = err == nil
	return m
}

// list reads a list of modules: each line is the path of one, or begins with it.
func (h Host) list(file string) (map[string]bool, error) {
	f, err := h.Root.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	all := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // modules.dep also has the modules that each needs
	for lines.Scan() {
		path, _, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		name, _, _ := bytes.Cut(path[bytes.LastIndexByte(path, '/')+1:], []byte(".ko"))
		if bytes.HasPrefix(name, []byte("ip_vs")) || bytes.HasPrefix(name, []byte("nf_tables")) {
			all[string(name)] = true
		}
	}
	return all, lines.Err()
}

// module says whether the kernel has a module, loaded or not, or its code built in; option is the line about it in the
// configuration of the kernel, "" if there is none.
func (h Host) module(m modules, name, option string) (kernel.Presence, string) {
	if _, err := fs.Stat(h.Root, "sys/module/"+name); err == nil {
		return kernel.Present, "the module " + name + " is loaded or built in"
	}
	switch {
	case m.builtIn[name]:
		return kernel.Present, name + " is built in"
	case m.present[name]:
		return kernel.Present, "the module " + name + " is loaded when it is needed"
	case strings.HasSuffix(option, "=y"):
		return kernel.Present, option
	case m.known:
		return kernel.Absent, "/" + m.dir + " has no module " + name
	}
	return kernel.Unknown, "there is no list of modules in /" + m.dir
}

// configuration is that of the kernel.
type configuration struct {
	file    string            // its path; "" if there is none
	options map[string]string // lines by option, without CONFIG_
}

// configurationLimit in bytes is more than any kernel's configuration has.
const configurationLimit = 4 << 20

// configuration reads the configuration of the running kernel where distributions have it.
func (h Host) configuration() configuration {
	for _, file := range []string{"proc/config.gz", "boot/config-" + h.Release, "lib/modules/" + h.Release + "/config"} {
		text, err := fs.ReadFile(h.Root, file)
		if err == nil && strings.HasSuffix(file, ".gz") {
			var unpacked io.Reader
			if unpacked, err = gzip.NewReader(bytes.NewReader(text)); err == nil {
				text, err = io.ReadAll(io.LimitReader(unpacked, configurationLimit))
			}
		}
		if err != nil {
			continue
		}
		c := configuration{file: "/" + file, options: map[string]string{}}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if name, _, is := strings.Cut(line, "="); is && strings.HasPrefix(name, "CONFIG_") {
				c.options[strings.TrimPrefix(name, "CONFIG_")] = line
			}
		}
		if len(c.options) > 0 {
			return c
		}
	}
	return configuration{}
}

// option returns the line that sets an option; "" if none does.
func (c configuration) option(name string) string { return c.options[name] }

// says returns what the configuration says of an option.
func (c configuration) says(name string) (kernel.Presence, string) {
	switch line := c.options[name]; {
	case c.file == "":
		return kernel.Unknown, "there is no configuration of this kernel in /proc/config.gz or /boot"
	case line == "":
		return kernel.Absent, c.file + " does not set CONFIG_" + name
	default:
		return kernel.Present, line + " in " + c.file
	}
}
