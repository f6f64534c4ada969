package mariadb

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const queryDeadline = 30 * time.Second

// Exec runs a statement as administrator, over the server's unix socket.
func (m *Server) Exec(statement string, args ...any) {
	m.h.T().Helper()
	ctx, cancel := context.WithTimeout(context.Background(), queryDeadline)
	defer cancel()
	if _, err := m.db.ExecContext(ctx, statement, args...); err != nil {
		m.h.T().Fatalf("%s: %s: %v", m.h.Name, statement, err)
	}
}

// Query runs a query as administrator and returns the first column of the first row, "" for NULL or no row.
func (m *Server) Query(query string, args ...any) string {
	m.h.T().Helper()
	rows := m.Rows(query, args...)
	if len(rows) == 0 || len(rows[0]) == 0 {
		return ""
	}
	return rows[0][0].Value
}

// A Field is one column of a row, NULL as "".
type Field struct{ Name, Value string }

// Rows runs a query as administrator and returns its rows.
func (m *Server) Rows(query string, args ...any) [][]Field {
	m.h.T().Helper()
	rows, err := m.rows(query, args...)
	if err != nil {
		m.h.T().Fatalf("%s: %s: %v", m.h.Name, query, err)
	}
	return rows
}

func (m *Server) rows(query string, args ...any) ([][]Field, error) {
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

// Status returns a numeric status variable of the server, such as "Aborted_connects".
func (m *Server) Status(name string) int {
	m.h.T().Helper()
	text := m.Query("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = ?", name)
	value, err := strconv.Atoi(text)
	if err != nil {
		m.h.T().Fatalf("%s: status %s is %q", m.h.Name, name, text)
	}
	return value
}

// Replicate makes two servers replicas of each other, with GTID, and waits until both replicate.
func Replicate(a, b *Server) {
	a.h.T().Helper()
	a.follow(b)
	b.follow(a)
	for _, m := range []*Server{a, b} {
		lab.Eventually(m.h.T(), 30*time.Second, m.Replicating)
	}
}

func (m *Server) follow(source *Server) {
	m.h.T().Helper()
	m.Exec(fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='%s', MASTER_PASSWORD='%s', "+
		"MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1",
		source.h.Address(), source.options.Port, ReplicaUser, ReplicaPassword))
	m.Exec("START SLAVE")
}

// Replicating returns nil if both replication threads of the server are running, otherwise an error with their state.
func (m *Server) Replicating() error {
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

// WaitReplicated waits until the replica has applied everything that the server has written up to now.
func (m *Server) WaitReplicated(replica *Server, timeout time.Duration) {
	m.h.T().Helper()
	position := m.Query("SELECT @@gtid_binlog_pos")
	if got := replica.Query("SELECT MASTER_GTID_WAIT(?, ?)", position, timeout.Seconds()); got != "0" {
		m.h.T().Fatalf("%s has not reached %s of %s after %s: %v", replica.h.Name, position, m.h.Name, timeout, replica.Replicating())
	}
}
