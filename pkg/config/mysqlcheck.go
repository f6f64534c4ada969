package config

// MySQL is the type of a MySQLCheck.
const MySQL CheckType = "mysql"

// MySQLCheck logs in, asks SELECT 1 and says goodbye.
type MySQLCheck struct {
	User         string
	PasswordFile string // "" is an empty password
}

// Type returns MySQL.
func (MySQLCheck) Type() CheckType { return MySQL }

// SecretFile returns the file with the password.
func (c MySQLCheck) SecretFile() string { return c.PasswordFile }

// Probe calls p.MySQL.
func (c MySQLCheck) Probe(p Prober) { p.MySQL(c) }

func (MySQLCheck) sealed() {}

func (c Check) isMySQL() bool { _, ok := c.Kind.(MySQLCheck); return ok }

func mysqlKind() checkKind {
	return kindOf[MySQLCheck]{
		name:  MySQL,
		doc:   "login, `SELECT 1`, a proper goodbye",
		stray: "does not log in",
		fields: []key[MySQLCheck]{
			field[MySQLCheck, string]{
				name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(c *MySQLCheck) *string { return &c.User },
				required: "the MySQL account that checks log in with",
				doc:      "the account to log in with",
				reload:   Restart,
				words:    []word{synonyms("username")},
			},
			field[MySQLCheck, string]{
				name: "password_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath),
				in:    func(c *MySQLCheck) *string { return &c.PasswordFile },
				unset: "empty password, with a warning", doc: "the file that holds its password",
				reload: Restart,
				words: []word{{
					names:   []string{"password", "pass"},
					message: "a secret never stands in the cluster file",
					hint:    "write it to a file of mode 0600 and name that: password_file: /etc/lvs-director/check.password",
				}},
			},
		},
		rules: func(_ *MySQLCheck, o object) {
			if o.missing("password_file") {
				o.locate("password_file").warn("", "is not given: the check logs in with an empty password")
			}
		},
	}.declare()
}
