package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/lvs-director/lvs-director/pkg/kernel/inotify"
	"github.com/lvs-director/lvs-director/pkg/kernel/process"
	"github.com/lvs-director/lvs-director/pkg/tracking"
)

// ReadFile implements tracking.FileKernel.
func (Host) ReadFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

// WatchFiles implements tracking.FileKernel.
func (Host) WatchFiles(changed func(path string)) (tracking.FileWatcher, error) {
	w, err := inotify.Open(changed)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Processes implements tracking.ProcessKernel.
func (Host) Processes() tracking.ProcessFinder { return new(process.Table) }

// AwaitProcess implements tracking.ProcessKernel.
func (Host) AwaitProcess(pid int, ended func()) (stop func(), err error) {
	e, err := process.AwaitExit(pid, ended)
	if err != nil {
		return nil, err
	}
	return e.Stop, nil
}

// FollowProcesses implements tracking.ProcessKernel.
func (Host) FollowProcesses(ctx context.Context, ready func(), deliver func(pid int)) error {
	return process.Follow(ctx, ready, deliver)
}

// ReadDirectory implements tracking.DirectoryKernel.
func (Host) ReadDirectory(path string, limit int) ([]tracking.DirectoryFile, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(limit)
	if err != nil && !errors.Is(err, io.EOF) { // the directory is empty
		return nil, err
	}
	return directoryFiles(entries)
}

// directoryFiles leaves out directories, and what was removed after the directory was read. Another error of an entry is one of
// the directory: a file that cannot be looked at, because the directory may not be searched, or its disk fails, is still there.
func directoryFiles(entries []os.DirEntry) (files []tracking.DirectoryFile, err error) {
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			files = append(files, tracking.DirectoryFile{Name: e.Name(), Modified: info.ModTime()})
		}
	}
	return files, nil
}
