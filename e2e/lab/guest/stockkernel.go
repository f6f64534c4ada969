package guest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// bootModules returns the modules that a Stock kernel needs to mount its root and to reach the host, without their
// dependencies.
func bootModules() []string {
	return []string{
		"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay",
		"virtio_pmem", "nd_pmem", "crc32c_generic", "ext4",
	}
}

// takeModules copies the bootModules and their dependencies; the file names sort in the order of loading.
func (s Stock) takeModules(from string) error {
	dep, err := os.ReadFile(filepath.Join(from, "modules.dep"))
	if err != nil {
		return err
	}
	paths, err := loadOrder(string(dep), bootModules())
	if err != nil {
		return err
	}
	if err := os.Mkdir(s.modules(), 0o755); err != nil {
		return err
	}
	for i, path := range paths {
		raw, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(s.modules(), fmt.Sprintf("%03d-%s", i, filepath.Base(path))), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unsignModules removes the signatures of modules, because checking one takes 10 ms under emulation.
func unsignModules(tree string) error {
	return filepath.WalkDir(filepath.Join(tree, "usr/lib/modules"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".ko") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, int64(len(unsigned(raw))))
	})
}

// unsigned returns a module without its signature, which is followed by a struct module_signature and a magic string
// (include/linux/module_signature.h).
func unsigned(module []byte) []byte {
	const structSize = 12
	code, ok := bytes.CutSuffix(module, []byte("~Module signature appended~\n"))
	if !ok || len(code) < structSize {
		return module
	}
	size := structSize + uint64(binary.BigEndian.Uint32(code[len(code)-4:]))
	if size > uint64(len(code)) {
		return module
	}
	return code[:uint64(len(code))-size]
}

// loadOrder parses modules.dep(5) and returns the files of the named modules and their dependencies, dependencies
// first.
func loadOrder(dep string, names []string) ([]string, error) {
	needs := make(map[string][]string) // by path
	path := make(map[string]string)    // by name
	for line := range strings.Lines(dep) {
		p, list, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		needs[p] = strings.Fields(list)
		name, _, _ := strings.Cut(filepath.Base(p), ".")
		path[strings.ReplaceAll(name, "-", "_")] = p
	}
	var order []string
	done := make(map[string]bool)
	var visit func(p string)
	visit = func(p string) {
		if done[p] {
			return
		}
		done[p] = true
		for _, n := range needs[p] {
			visit(n)
		}
		order = append(order, p)
	}
	for _, name := range names {
		p, ok := path[name]
		if !ok {
			return nil, fmt.Errorf("the kernel has no module %s", name)
		}
		visit(p)
	}
	return order, nil
}

// unpackKernel decompresses the kernel, because decompressing itself takes it 6 s under emulation.
func (s Stock) unpackKernel(ctx context.Context, packed []byte) error {
	payload, err := kernelPayload(packed)
	if err != nil {
		return err
	}
	var unpacker string
	switch {
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		unpacker = "xz"
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		unpacker = "zstd"
	default:
		return fmt.Errorf("the kernel is compressed in an unknown format: it begins with %x", payload[:min(6, len(payload))])
	}
	cmd, err := s.emulator().command(ctx, unpacker, "-dc")
	if err != nil {
		return err
	}
	out, err := os.Create(s.kernel())
	if err != nil {
		return err
	}
	var stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(payload), out, &stderr
	if err := errors.Join(cmd.Run(), out.Close()); err != nil {
		return fmt.Errorf("unpack the kernel: %s: %w: %s", unpacker, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}

// kernelPayload returns the compressed kernel in a bzImage (Documentation/x86/boot.rst of the kernel: setup_sects,
// payload_offset, payload_length).
func kernelPayload(image []byte) ([]byte, error) {
	errNoKernel := errors.New("not a PC kernel with boot protocol 2.08 or later")
	if len(image) < 0x250 || string(image[0x202:0x206]) != "HdrS" || binary.LittleEndian.Uint16(image[0x206:]) < 0x208 {
		return nil, errNoKernel
	}
	setup := (uint64(image[0x1f1]) + 1) * 512
	begin := setup + uint64(binary.LittleEndian.Uint32(image[0x248:]))
	end := begin + uint64(binary.LittleEndian.Uint32(image[0x24c:]))
	// The last four bytes are the decompressed size, which is not part of the xz(1) or zstd(1) data.
	if end > uint64(len(image)) || end < begin+4 {
		return nil, errNoKernel
	}
	return image[begin : end-4], nil
}
