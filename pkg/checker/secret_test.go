package checker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSecretFiles(t *testing.T) {
	var s SecretFiles
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, tt := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
		wantErr string
	}{
		"0600":            {"s3cret\n", 0o600, "s3cret", ""},
		"0640":            {"s3cret", 0o640, "s3cret", ""},
		"0400":            {"s3cret\r\n", 0o400, "s3cret", ""},
		"inner blanks":    {" a b \n\n", 0o600, " a b \n", ""},
		"empty":           {"", 0o600, "", ""},
		"others read":     {"s3cret", 0o644, "", "has mode 0644, so others can read or change it (chmod 0640 or 0600)"},
		"group writes":    {"s3cret", 0o660, "", "has mode 0660"},
		"far too long":    {strings.Repeat("x", maxSecret+1), 0o600, "", "longer than 65536 bytes"},
		"not even a file": {"", 0o600, "", "no such file or directory (create the file"},
	} {
		t.Run(name, func(t *testing.T) {
			file := write(name, tt.content, tt.mode)
			if name == "not even a file" {
				file += "/or something"
				tt.wantErr = "not a directory (create the file"
			}
			got, err := s.Read(file)
			if got != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Read: %q, %v; want %q, %q", got, err, tt.want, tt.wantErr)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		if got, err := s.Read(""); got != "" || err != nil {
			t.Errorf("Read: %q, %v", got, err)
		}
	})
	t.Run("directory", func(t *testing.T) {
		if _, err := s.Read(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Read: %v", err)
		}
	})
	t.Run("read again when it changes", func(t *testing.T) {
		file := write("changing", "old", 0o600)
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.Read(file); got != "old" {
			t.Fatalf("got %q", got)
		}
		write("changing", "new", 0o600)
		if got, _ := s.Read(file); got != "new" {
			t.Errorf("after a change: %q", got)
		}
		if err := os.Chmod(file, 0o604); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Read(file); err == nil {
			t.Error("a cached secret was returned although the mode is wrong")
		}
	})
}
