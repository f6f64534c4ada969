package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const imported = `vrrp_instance mysql {
    state MASTER
    interface eth0
    virtual_router_id 51
    @lvs1 priority 150
    @lvs2 priority 100
    include auth.conf
    virtual_ipaddress {
        10.77.0.100
    }
}
`

// source writes a configuration with an included file, and returns its directory.
func keepalivedConf(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"keepalived.conf": text, "auth.conf": "authentication {\n auth_type PASS\n auth_pass secret\n}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestImportOfAPair(t *testing.T) {
	dir := keepalivedConf(t, imported)
	file, out := filepath.Join(dir, "keepalived.conf"), filepath.Join(dir, "cluster.yaml")
	args := []string{"import", "--node", "lvs1=" + file, "--node", "lvs2=" + file, "--address", "lvs1=10.77.0.2", "--address", "lvs2=10.77.0.3", "-o", out}
	code, _, stderr := lvsctl(t, args...)
	if code != 0 || !strings.Contains(stderr, "keepalived.conf:2:5: changed: state MASTER: ") || strings.Contains(stderr, "refused") {
		t.Fatalf("exit %d\n%s", code, stderr)
	}
	secret := filepath.Join(dir, "vrrp-mysql.password")
	info, err := os.Stat(secret)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret: %v, %v", info, err)
	}
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), "auth_password_file: "+secret) || !strings.Contains(string(text), "lvs2: {priority: 100}") {
		t.Errorf("the cluster file: %v\n%s", err, text)
	}
	if code, stdout, stderr := lvsctl(t, "check", out); code != 0 {
		t.Errorf("check: exit %d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := lvsctl(t, args...); code != 0 {
		t.Errorf("the same again: exit %d\n%s", code, stderr)
	}
	args[6] = "lvs1=10.77.0.9"
	if code, _, stderr := lvsctl(t, args...); code != 1 || !strings.Contains(stderr, "file exists (remove it, or write another file)") {
		t.Errorf("it overwrites a file: exit %d\n%s", code, stderr)
	}
}

func TestImportOfOneFile(t *testing.T) {
	file := filepath.Join(keepalivedConf(t, imported), "keepalived.conf")
	code, stdout, stderr := lvsctl(t, "import", file)
	for _, want := range []string{
		"keepalived.conf:5:5: refused: @lvs1 priority 150: the line is for the host 'lvs1' only (say for which host with --host NAME",
		"not written: vrrp-mysql.password, which has a password: give -o FILE",
		"not in the source: the address of director director1", "not in the source: the other director",
		"check: cluster.yaml:", "2 lines are refused",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr does not have %q:\n%s", want, stderr)
		}
	}
	if code != 1 || !strings.HasPrefix(stdout, "version: 1\n") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	code, stdout, stderr = lvsctl(t, "import", "--all", "--host", "lvs2", "--address", "lvs2=10.77.0.3", file)
	if code != 0 || !strings.Contains(stdout, "priority: 100") || !strings.Contains(stderr, "keepalived.conf:3:5: translated: interface eth0\n") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestImportUsage(t *testing.T) {
	file := filepath.Join(keepalivedConf(t, imported), "keepalived.conf")
	for want, args := range map[string][]string{
		"want a keepalived.conf":                            {},
		"name the directors":                                {file, file},
		"--host is the NAME of --node":                      {"--host", "a", "--node", "a=" + file},
		"--node a: want NAME=FILE":                          {"--node", "a"},
		"--address x: want NAME=ADDRESS":                    {"--address", "x", file},
		"is the second file of keepalived for one director": {"--node", "a=" + file, "--node", "a=" + file},
		"--from: 'x' is no kind of file":                    {"--from", "x", file},
	} {
		if code, _, stderr := lvsctl(t, append([]string{"import"}, args...)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d: %s", args, code, stderr)
		}
	}
	if code, _, stderr := lvsctl(t, "import", file+".gone"); code != 1 || !strings.Contains(stderr, "no such file") {
		t.Errorf("a missing file: exit %d: %s", code, stderr)
	}
	if code, _, stderr := lvsctl(t, "import", filepath.Dir(file)); code != 1 || !strings.Contains(stderr, "is no regular file") {
		t.Errorf("a directory: exit %d: %s", code, stderr)
	}
}

// The elections of a keepalived.conf and the virtual servers of a ldirectord.cf become one file, and the password of the check a
// file that only root can read; no message has it.
func TestImportOfLdirectord(t *testing.T) {
	dir := keepalivedConf(t, imported)
	cf := filepath.Join(dir, "ldirectord.cf")
	text := "checktimeout=3\ncheckinterval=5\nvirtual=10.77.0.100:3306\n\treal=10.77.0.11:3306 gate 3\n\tlogin=\"lvs_check\"\n\tpasswd=\"geheim123\"\n\trequest=\"SELECT 1\"\n"
	if err := os.WriteFile(cf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "cluster.yaml")
	code, _, stderr := lvsctl(t, "import", "--all", "--host", "lvs1", "--address", "lvs1=10.77.0.2", "-o", out, filepath.Join(dir, "keepalived.conf"), cf)
	if code != 0 || strings.Contains(stderr, "geheim123") || !strings.Contains(stderr, "ldirectord.cf:6:2: translated: passwd=…\n") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	secret := filepath.Join(dir, "check-tcp-10.77.0.100-3306.password")
	info, err := os.Stat(secret)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret: %v, %v", info, err)
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "geheim123\n" {
		t.Errorf("the secret is %q, %v", data, err)
	}
	if code, stdout, stderr := lvsctl(t, "check", out); code != 0 {
		t.Errorf("check: exit %d\n%s%s", code, stdout, stderr)
	}
}

// Directors whose passwords differ have a cluster file with the first one, and a report; if a file is in the way nothing is
// written, and the report comes all the same.
func TestImportOfTwoPasswords(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "cluster.yaml")
	args := []string{"import", "-o", out}
	for node, password := range map[string]string{"lvs1": "one", "lvs2": "two"} {
		file := filepath.Join(dir, node+".cf")
		text := "# passwd = hidden\nvirtual=10.77.0.100:3306\n\treal=10.77.0.11:3306 gate\n\tlogin=\"x\"\n\tpasswd=\"" + password + "\"\n\trequest=\"SELECT 1\"\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args = append(args, "--node", "lvs1="+filepath.Join(dir, "lvs1.cf"), "--node", "lvs2="+filepath.Join(dir, "lvs2.cf"))
	const report = "lvs2.cf:5:2: refused: passwd=…: line 5 of "
	if err := os.WriteFile(out, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "check-tcp-10.77.0.100-3306.password")
	code, _, stderr := lvsctl(t, args...)
	if code != 1 || !strings.Contains(stderr, report) || !strings.Contains(stderr, "cluster.yaml: file exists (remove it") {
		t.Errorf("a file is in the way: exit %d\n%s", code, stderr)
	}
	if _, err := os.Stat(secret); err == nil {
		t.Error("the secret is written without the cluster file")
	}
	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	code, _, stderr = lvsctl(t, args...)
	if code != 1 || !strings.Contains(stderr, report) || strings.Contains(stderr, "hidden") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if data, err := os.ReadFile(secret); err != nil || string(data) != "one\n" {
		t.Errorf("the secret is %q, %v", data, err)
	}
	if text, err := os.ReadFile(out); err != nil || strings.Contains(string(text), "hidden") {
		t.Errorf("the cluster file: %v\n%s", err, text)
	}
}

// What a file is must be recognized, or said.
func TestImportFrom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "table")
	if err := os.WriteFile(file, []byte("# an empty table\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := lvsctl(t, "import", file)
	if code != 2 || !strings.Contains(stderr, "no line of it is one of keepalived, ldirectord, ipvsadm (say what it is: --from keepalived|ldirectord|ipvsadm)") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	if code, _, stderr := lvsctl(t, "import", "--from", "ipvsadm", file); code != 1 || !strings.Contains(stderr, "neither vrrp_instances nor virtual_servers") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}
