package lab

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"
)

const queryDeadline = 30 * time.Second

// Exec runs a statement as administrator, through the server's own socket and
// not over the network.
func (m *MariaDB) Exec(statement string, args ...any) {
	m.h.n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), queryDeadline)
	defer cancel()
	if _, err := m.db.ExecContext(ctx, statement, args...); err != nil {
		m.h.n.t.Fatalf("%s: %s: %v", m.h.Name, statement, err)
	}
}

// Query is the first column of the first row of a query as administrator;
// "" is NULL or no row.
func (m *MariaDB) Query(query string, args ...any) string {
	m.h.n.t.Helper()
	rows := m.Rows(query, args...)
	if len(rows) == 0 || len(rows[0]) == 0 {
		return ""
	}
	return rows[0][0].Value
}

// A Field is one column of a row, NULL as "".
type Field struct{ Name, Value string }

// Rows are the rows of a query as administrator.
func (m *MariaDB) Rows(query string, args ...any) [][]Field {
	m.h.n.t.Helper()
	rows, err := m.rows(query, args...)
	if err != nil {
		m.h.n.t.Fatalf("%s: %s: %v", m.h.Name, query, err)
	}
	return rows
}

func (m *MariaDB) rows(query string, args ...any) ([][]Field, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryDeadline)
	defer cancel()
	cursor, err := m.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer cursor.Close()
	names, err := cursor.Columns()
	if err != nil {
		return nil, err
	}
	var rows [][]Field
	for cursor.Next() {
		values := make([]sql.NullString, len(names))
		pointers := make([]any, len(names))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := cursor.Scan(pointers...); err != nil {
			return nil, err
		}
		row := make([]Field, len(names))
		for i, name := range names {
			row[i] = Field{Name: name, Value: values[i].String}
		}
		rows = append(rows, row)
	}
	return rows, cursor.Err()
}

// Status is a numeric status variable of the server: "Aborted_connects".
func (m *MariaDB) Status(name string) int {
	m.h.n.t.Helper()
	text := m.Query("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = ?", name)
	value, err := strconv.Atoi(text)
	if err != nil {
		m.h.n.t.Fatalf("%s: status %s is %q", m.h.Name, name, text)
	}
	return value
}

// Replicate makes each of two servers the other's replica, with GTID, and
// waits until both directions run.
func Replicate(a, b *MariaDB) {
	a.h.n.t.Helper()
	a.follow(b)
	b.follow(a)
	for _, m := range []*MariaDB{a, b} {
		Eventually(m.h.n.t, 30*time.Second, m.Replicating)
	}
}

func (m *MariaDB) follow(source *MariaDB) {
	m.h.n.t.Helper()
	m.Exec(fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', MASTER_PASSWORD='%s', "+
		"MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1",
		source.h.Address(), source.options.Port, ReplicaUser, ReplicaPassword))
	m.Exec("START SLAVE")
}

// Replicating is nil while both threads of the server's replication run, or
// else what the server says about it.
func (m *MariaDB) Replicating() error {
	rows, err := m.rows("SHOW SLAVE STATUS")
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%s is not a replica", m.h.Name)
	}
	status := map[string]string{}
	for _, field := range rows[0] {
		status[field.Name] = field.Value
	}
	if status["Slave_IO_Running"] != "Yes" || status["Slave_SQL_Running"] != "Yes" {
		return fmt.Errorf("%s: replication: IO %s %s, SQL %s %s", m.h.Name, status["Slave_IO_Running"],
			status["Last_IO_Error"], status["Slave_SQL_Running"], status["Last_SQL_Error"])
	}
	return nil
}

// WaitReplicated waits until the replica has everything that the server has
// written up to now.
func (m *MariaDB) WaitReplicated(replica *MariaDB, timeout time.Duration) {
	m.h.n.t.Helper()
	position := m.Query("SELECT @@gtid_binlog_pos")
	if got := replica.Query("SELECT MASTER_GTID_WAIT(?, ?)", position, timeout.Seconds()); got != "0" {
		m.h.n.t.Fatalf("%s has not reached %s of %s after %s: %v", replica.h.Name, position, m.h.Name, timeout, replica.Replicating())
	}
}
