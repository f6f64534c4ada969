package daemon

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/logtest"
)

func TestPrioritiesUnderTheJournal(t *testing.T) {
	for format, want := range map[string]string{
		"text": "<7>level=DEBUG msg=d instance=a\n<6>level=INFO msg=i instance=a\n<4>level=WARN msg=w instance=a\n<3>level=ERROR msg=e instance=a\n",
		"json": `<7>{"level":"DEBUG","msg":"d","instance":"a"}` + "\n" + `<6>{"level":"INFO","msg":"i","instance":"a"}` + "\n" +
			`<4>{"level":"WARN","msg":"w","instance":"a"}` + "\n" + `<3>{"level":"ERROR","msg":"e","instance":"a"}` + "\n",
	} {
		var out logtest.Buffer
		log, err := logTo(flags{logFormat: format, debug: true}, &out, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []*slog.Logger{log.With("instance", "a")} {
			l.Debug("d")
			l.Info("i")
			l.Warn("w")
			l.Error("e")
		}
		if out.String() != want {
			t.Errorf("%s:\n%s\nwant\n%s", format, out.String(), want)
		}
	}
	var out logtest.Buffer
	log, err := logTo(flags{logFormat: "text"}, &out, true)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("d")
	log.WithGroup("g").Info("i", "k", "v")
	if got := out.String(); got != "<6>level=INFO msg=i g.k=v\n" {
		t.Errorf("%q", got)
	}
	if got := prioritize("cluster.yaml:1:1: x\ncluster.yaml:2:1: y"); got != "<3>cluster.yaml:1:1: x\n<3>cluster.yaml:2:1: y" {
		t.Errorf("%q", got)
	}
}

// The variable is inherited by programs whose output is not the journal's.
func TestJournaled(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no inode")
	}
	for stream, want := range map[string]bool{
		"": false, "8:1": false, fmt.Sprintf("%d:%d", s.Dev, s.Ino): true, fmt.Sprintf("%d:%d ", s.Dev, s.Ino): false,
	} {
		if got := journaled(stream, file); got != want {
			t.Errorf("%q: %t", stream, got)
		}
	}
}
