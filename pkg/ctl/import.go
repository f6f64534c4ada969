package ctl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvs-director/lvs-director/pkg/config"
	"github.com/lvs-director/lvs-director/pkg/conftree"
	"github.com/lvs-director/lvs-director/pkg/daemon"
	"github.com/lvs-director/lvs-director/pkg/ipvsadm"
	"github.com/lvs-director/lvs-director/pkg/keepalived"
	"github.com/lvs-director/lvs-director/pkg/ldirectord"
	"github.com/lvs-director/lvs-director/pkg/migration"
)

// importFlags are the flags of import. Its -o is a file: what it prints is for people.
type importFlags struct {
	host, from, output string
	nodes, addresses   []string
	all                bool
}

func importFiles() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import [--node NAME=]FILE ...",
		Short: "translate keepalived.conf, ldirectord.cf or ipvsadm -Sn into a cluster file, offline, and say what became of each line",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && len(f.nodes) == 0:
				return &daemon.UsageError{Err: errors.New("want a keepalived.conf, a ldirectord.cf or the output of ipvsadm -Sn, or --node NAME=FILE for each director")}
			case len(args) > 0 && len(f.nodes) > 0:
				return &daemon.UsageError{Err: errors.New("name the directors of several files: --node NAME=FILE for each")}
			case f.host != "" && len(f.nodes) > 0:
				return &daemon.UsageError{Err: errors.New("--host is the NAME of --node already")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.OutOrStdout(), cmd.ErrOrStderr(), args)
		},
	}
	cmd.Flags().StringVar(&f.host, "host", "", "the host name of the director, with which @host lines are compared")
	cmd.Flags().StringArrayVar(&f.nodes, "node", nil, "NAME=FILE: the host name of a director and its file, for each director; several times if it has files of several programs")
	cmd.Flags().StringArrayVar(&f.addresses, "address", nil, "NAME=ADDRESS: the own address of a director, for each director")
	cmd.Flags().StringVar(&f.from, "from", "", "what the files are: "+strings.Join(migration.Kinds(), ", ")+"; by default each is recognized by its content")
	cmd.Flags().StringVarP(&f.output, "output", "o", "-", "the cluster file to write, which must not exist yet; files with secrets are written beside it")
	cmd.Flags().BoolVar(&f.all, "all", false, "print the verdict on every line, also on those that are translated")
	_ = cmd.RegisterFlagCompletionFunc("host", cobra.NoFileCompletions) // fails only for an undefined flag
	_ = cmd.RegisterFlagCompletionFunc("address", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(kinds(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *importFlags) run(stdout, stderr io.Writer, args []string) error {
	options, err := f.options()
	if err != nil {
		return err
	}
	sources, err := f.sources(args)
	if err != nil {
		return err
	}
	result := migration.Import(sources, options)
	err = f.write(stdout, stderr, result)
	failed := f.report(stderr, result) // also without a file: it may say what is in the way
	if err != nil {
		return err
	}
	if n := result.Refused(); n > 0 || failed {
		fmt.Fprintf(stderr, "%d lines are refused: look at them, and at what lvsctl check says, before you use the file\n", n)
		return &daemon.PrintedError{Code: 1} // the lines say why
	}
	return nil
}

func (f *importFlags) options() (migration.Options, error) {
	o := migration.Options{Addresses: map[string]string{}, SecretsDir: filepath.Dir(daemon.DefaultConfig)}
	if f.output != "-" {
		path, err := filepath.Abs(f.output)
		if err != nil {
			return o, fmt.Errorf("--output %s: %w", f.output, err)
		}
		o.SecretsDir = filepath.Dir(path)
	}
	for _, a := range f.addresses {
		name, address, _ := strings.Cut(a, "=")
		addr, err := netip.ParseAddr(address)
		if err != nil {
			return o, &daemon.UsageError{Err: fmt.Errorf("--address %s: want NAME=ADDRESS", a)}
		}
		o.Addresses[name] = addr.String()
	}
	return o, nil
}

// kinds are the names of the kinds, for the shell's completion.
func kinds() (all []cobra.Completion) {
	return append(all, migration.Kinds()...)
}

func (f *importFlags) sources(args []string) ([]migration.Source, error) {
	type named struct{ node, path string }
	var all []named
	for _, path := range args {
		all = append(all, named{f.host, path})
	}
	for _, n := range f.nodes {
		name, path, is := strings.Cut(n, "=")
		if !is || name == "" || path == "" {
			return nil, &daemon.UsageError{Err: fmt.Errorf("--node %s: want NAME=FILE", n)}
		}
		all = append(all, named{name, path})
	}
	var sources []migration.Source
	for _, s := range all {
		file, err := f.parse(s.node, s.path)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(sources, func(o migration.Source) bool { return o.Node == s.node })
		if at < 0 {
			sources = append(sources, migration.Source{Node: s.node, Files: []migration.File{file}})
			continue
		}
		if slices.ContainsFunc(sources[at].Files, func(o migration.File) bool { return o.Kind == file.Kind }) {
			return nil, &daemon.UsageError{Err: fmt.Errorf("%s is the second file of %s for one director: name the directors of several files, --node NAME=FILE for each", s.path, file.Kind)}
		}
		sources[at].Files = append(sources[at].Files, file)
	}
	return sources, nil
}

// parse reads and parses a file of a director.
func (f *importFlags) parse(node, path string) (migration.File, error) {
	data, err := readSource(path)
	if err != nil {
		return migration.File{}, err
	}
	var kind migration.Kind
	if f.from != "" {
		if kind, err = migration.ParseKind(f.from); err != nil {
			return migration.File{}, &daemon.UsageError{Err: fmt.Errorf("--from: %w", err)}
		}
	} else if kind, err = migration.KindOf(data); err != nil {
		return migration.File{}, &daemon.UsageError{Err: fmt.Errorf("%s: %w (say what it is: --from %s)", path, err, strings.Join(migration.Kinds(), "|"))}
	}
	file := migration.File{Kind: kind}
	switch kind {
	case migration.Keepalived:
		file.Tree = keepalived.Parse(path, data, keepalived.Options{Host: node, Files: disk{}})
	case migration.Ldirectord:
		file.Tree = ldirectord.Parse(path, data)
	case migration.IPVSAdm:
		file.Tree = ipvsadm.Parse(path, data)
	}
	return file, nil
}

// disk are the files of this machine.
type disk struct{}

func (disk) Match(pattern string) []string {
	names, _ := filepath.Glob(pattern) // a bad pattern matches nothing
	return slices.DeleteFunc(names, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && info.IsDir()
	})
}

func (disk) Read(name string) ([]byte, error) { return readSource(name) }

// readSource reads a regular file. One that is too long is read as far as is needed to say so.
func readSource(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, conftree.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// write writes the cluster file and the secrets beside it. It overwrites nothing.
func (f *importFlags) write(stdout, stderr io.Writer, r migration.Result) error {
	if f.output == "-" {
		for _, s := range r.Secrets {
			fmt.Fprintf(stderr, "not written: %s, which has a password: give -o FILE\n", s.Name)
		}
		_, err := stdout.Write(r.YAML)
		return err
	}
	type target struct {
		path string
		data []byte
		mode os.FileMode
	}
	var targets []target
	for _, s := range r.Secrets {
		targets = append(targets, target{filepath.Join(filepath.Dir(f.output), s.Name), []byte(s.Value + "\n"), 0o600})
	}
	targets = append(targets, target{f.output, r.YAML, 0o644})
	for _, t := range targets { // all of them first, so that no part is written of what cannot be written as a whole
		if _, err := present(t.path, t.data); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if err := create(t.path, t.data, t.mode); err != nil {
			return err
		}
	}
	return nil
}

// present reports whether a file has this content. One with another content is an error.
func present(path string, data []byte) (bool, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if old, err := readSource(path); err == nil && string(old) == string(data) {
		return true, nil
	}
	return false, fmt.Errorf("%s: file exists (remove it, or write another file)", path)
}

// create writes a new file; one with this content already is left alone.
func create(path string, data []byte, mode os.FileMode) error {
	if done, err := present(path, data); done || err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("%w (write into a directory that exists, and that this user may write)", err)
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// report prints what became of the lines, what is not known, and what lvsctl check says. It reports whether that has
// errors.
func (f *importFlags) report(w io.Writer, r migration.Result) (failed bool) {
	for _, l := range r.Lines {
		if l.Verdict > migration.Translated || f.all && l.Verdict == migration.Translated {
			fmt.Fprintln(w, l)
		}
	}
	for _, u := range r.Unknown {
		fmt.Fprintln(w, "not in the source:", u)
	}
	name := f.output
	if name == "-" {
		name = "cluster.yaml"
	}
	_, problems := config.Parse(name, r.YAML)
	for _, p := range problems {
		fmt.Fprintln(w, "check:", p)
	}
	return problems.Failed()
}
