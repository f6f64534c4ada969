package config

import "strings"

// MySQL is the type of a MySQLCheck.
const MySQL CheckType = "mysql"

// MySQLCheck logs in, runs SELECT 1 and quits.
type MySQLCheck struct {
	User         string
	PasswordFile string // "" is an empty password
	Keep         bool   `json:",omitempty"` // a connection is kept; see Keeper
}

// Type returns MySQL.
func (MySQLCheck) Type() CheckType { return MySQL }

// SecretFile returns the file with the password.
func (c MySQLCheck) SecretFile() string { return c.PasswordFile }

// Network returns OverTCP.
func (MySQLCheck) Network() Network { return OverTCP }

// Probe calls p.MySQL.
func (c MySQLCheck) Probe(p Prober) { p.MySQL(c) }

// KeepsConnection implements Keeper.
func (c MySQLCheck) KeepsConnection() bool { return c.Keep }

// Hold calls h.MySQL.
func (c MySQLCheck) Hold(h Holder) { h.MySQL(c) }

func (MySQLCheck) sealed() {}

// hiddenFromUnits returns the directory in path that the units of deploy/systemd hide from the daemons (ProtectHome=,
// PrivateTmp=); "" for a visible path.
func hiddenFromUnits(path string) string {
	for _, dir := range []string{"/root", "/home", "/run/user", "/tmp", "/var/tmp"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return dir
		}
	}
	return ""
}

// warnHidden warns about a file that the units hide from the daemon.
func (o object) warnHidden(key, path string) {
	if dir := hiddenFromUnits(path); dir != "" {
		o.locate(key).warn("put it into /etc/lvs-director", "the systemd unit hides %s from the daemon", dir)
	}
}

// MySQLAccount returns the account with which a track logs in to a MySQL server; false for a track of another type.
func (t Track) MySQLAccount() (user string, is bool) {
	c, is := t.Check.Kind.(MySQLCheck)
	return c.User, is
}

func (c Check) isMySQL() bool { _, ok := c.Kind.(MySQLCheck); return ok }

func mysqlKind() checkKind {
	return kindOf[MySQLCheck]{
		name:  MySQL,
		doc:   "login, `SELECT 1`, clean disconnect",
		stray: "does not log in",
		fields: []key[MySQLCheck]{
			&field[MySQLCheck, string]{
				name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(c *MySQLCheck) *string { return &c.User },
				required: "the MySQL account that checks log in with",
				doc:      "the account to log in with",
				reload:   Restart,
				words:    []word{synonyms("username")},
			},
			&field[MySQLCheck, string]{
				name: "password_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath),
				in:    func(c *MySQLCheck) *string { return &c.PasswordFile },
				unset: "empty password, with a warning", doc: "the file that holds its password",
				reload: Restart,
				words: []word{{
					names:   []string{"password", "pass"},
					message: "passwords are not allowed in the cluster file",
					hint:    "write it to a file with mode 0600 and set password_file: /etc/lvs-director/check.password",
				}},
			},
			keepField(func(c *MySQLCheck) *bool { return &c.Keep }),
		},
		rules: func(c *MySQLCheck, o object) {
			o.warnHidden("password_file", c.PasswordFile)
			if o.missing("password_file") {
				o.locate("password_file").warn("", "is not given: the check logs in with an empty password")
			}
		},
	}.declare()
}
