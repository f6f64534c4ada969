// Command stage makes the files of the packages that are no files of the tree: man pages, completions, the units with the
// programs in /usr/bin, the schema, the copyright file and Debian's changelog. It runs in the root of the repository, and
// needs SOURCE_DATE_EPOCH: the same tree and time give the same bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	director "github.com/lvs-director/lvs-director/cmd/lvs-director/program"
	agent "github.com/lvs-director/lvs-director/cmd/lvs-realserver/program"
	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/ctl"
)

func main() {
	out := flag.String("out", "bin/packages/stage", "the directory to write to")
	version := flag.String("version", "", "the version of the packages")
	flag.Parse()
	if err := stage(*out, *version); err != nil {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1)
	}
}

// stage writes all files below dir.
func stage(dir, version string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil || version == "" {
		return fmt.Errorf("needs -version and SOURCE_DATE_EPOCH: run deploy/packages/build: %w", err)
	}
	at := time.Unix(seconds, 0).UTC()
	files := map[string][]byte{"cluster.schema.json": config.JSONSchema()}
	for _, root := range []*cobra.Command{director.Command(), agent.Command(), ctl.Command()} {
		if err := errors.Join(commandPages(files, root, version, at), completions(files, root)); err != nil {
			return fmt.Errorf("%s: %w", root.Name(), err)
		}
	}
	page, err := clusterFilePage(config.JSONSchema(), version, at)
	if err != nil {
		return fmt.Errorf("cluster.yaml(5): %w", err)
	}
	files["man5/cluster.yaml.5"] = page
	if err := errors.Join(units(files), examples(files), debian(files, version, at)); err != nil {
		return err
	}
	return write(dir, files)
}

// commandPages adds a man page for the command and each of its verbs.
func commandPages(files map[string][]byte, cmd *cobra.Command, version string, at time.Time) error {
	cmd.DisableAutoGenTag = true
	for _, verb := range cmd.Commands() {
		if verb.IsAvailableCommand() && !verb.IsAdditionalHelpTopicCommand() {
			if err := commandPages(files, verb, version, at); err != nil {
				return err
			}
		}
	}
	var page bytes.Buffer
	header := &doc.GenManHeader{Section: "8", Date: &at, Source: "lvs-director " + version, Manual: "lvs-director"}
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	files["man8/"+strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".8"] = page.Bytes()
	return nil
}

func completions(files map[string][]byte, root *cobra.Command) error {
	var bash, zsh, fish bytes.Buffer
	err := errors.Join(root.GenBashCompletionV2(&bash, true), root.GenZshCompletion(&zsh), root.GenFishCompletion(&fish, true))
	files["bash/"+root.Name()], files["zsh/_"+root.Name()], files["fish/"+root.Name()+".fish"] = bash.Bytes(), zsh.Bytes(), fish.Bytes()
	return err
}

// units adds the units of the tree, which start the programs of /usr/local/bin, with those of the package.
func units(files map[string][]byte) error {
	for _, name := range []string{"lvs-director.service", "lvs-realserver.service"} {
		text, err := os.ReadFile(filepath.Join("deploy/systemd", name))
		if err != nil {
			return err
		}
		files["systemd/"+name] = bytes.ReplaceAll(text, []byte("/usr/local/bin"), []byte("/usr/bin"))
	}
	return nil
}

// examples adds the cluster files that users may copy.
func examples(files map[string][]byte) error {
	paths, err := filepath.Glob("docs/examples/*.yaml")
	if err != nil {
		return err
	}
	for _, path := range append(paths, "deploy/cluster.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files["examples/"+filepath.Base(path)] = text
	}
	return nil
}

// write writes the files, man pages and changelogs compressed, over an empty directory.
func write(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, content := range files {
		if strings.HasPrefix(name, "man") || strings.HasPrefix(name, "changelog") {
			var packed bytes.Buffer
			w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
			if err != nil {
				return err
			}
			if _, err := w.Write(content); err != nil {
				return err
			}
			if err := w.Close(); err != nil {
				return err
			}
			name, content = name+".gz", packed.Bytes()
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o644); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}
