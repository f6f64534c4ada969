package probe

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/lvs-director/lvs-director/pkg/health"
	"github.com/lvs-director/lvs-director/pkg/replication"
)

// longAnswer is for positions: a GTID set has some 50 bytes for each gap of each source.
var longAnswer = limits{packet: 1 << 20, total: 4 << 20}

const (
	errSyntax    = 1064 // ER_PARSE_ERROR: the statement is of another version
	errNoAccess  = 1227 // ER_SPECIFIC_ACCESS_DENIED_ERROR
	errUnknown   = 1193 // ER_UNKNOWN_SYSTEM_VARIABLE
	maxSources   = 256
	grantMySQL   = "GRANT REPLICATION CLIENT ON *.* TO the account of the check"
	grantMariaDB = "GRANT BINLOG MONITOR, SLAVE MONITOR ON *.* TO the account of the check; before MariaDB 10.5 GRANT REPLICATION CLIENT"
)

// Positions logs in as MySQL does and asks a server for its positions in its binary log and in those that it replicates. What
// the account may not see is in Unread, with the remedy. The error is that of a check.
func Positions(ctx context.Context, t *Target) (replication.Positions, error) {
	var p replication.Positions
	if r := askPositions(&p).hold(ctx, start(ctx, "positions"), t); r.Class != health.Good {
		return replication.Positions{}, errors.New(r.Cause)
	}
	return p, nil
}

func askPositions(p *replication.Positions) *talk {
	return &talk{asks: "positions of", answer: longAnswer, ask: func(session driver.Conn) error {
		var err error
		*p, err = positions(session)
		return err
	}}
}

func positions(session driver.Conn) (replication.Positions, error) {
	about, err := queryOne(session, "SELECT @@version AS version, @@server_id AS id, @@global.read_only AS read_only")
	if err != nil {
		return replication.Positions{}, err
	}
	p := replication.Positions{Version: about["version"], ReadOnly: about["read_only"] == "1"}
	p.ServerID, _ = strconv.ParseUint(about["id"], 10, 64)
	mariadb, grant := strings.Contains(p.Version, "MariaDB"), grantMySQL
	gtids, replicas := "SELECT @@global.gtid_executed AS gtids", []string{"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}
	if mariadb {
		gtids, replicas, grant = "SELECT @@global.gtid_current_pos AS gtids", []string{"SHOW ALL SLAVES STATUS"}, grantMariaDB
	}
	parts := reader{session: session, grant: grant, of: map[string]string{}}
	// MySQL 8.2 has the new statement, 8.4 no longer the old one; MariaDB has the old one only.
	for _, row := range parts.read("the binary log", "SHOW MASTER STATUS", "SHOW BINARY LOG STATUS") {
		offset, _ := strconv.ParseUint(row["Position"], 10, 64)
		p.BinaryLog = &replication.LogPosition{File: row["File"], Offset: offset}
	}
	for _, row := range parts.read("GTIDs", gtids) {
		p.GTIDs = strings.Join(strings.Fields(row["gtids"]), "")
	}
	for _, row := range parts.read("replication", replicas...) {
		p.Sources = append(p.Sources, replication.SourceOf(row))
	}
	p.Unread, p.ReplicationUnread = parts.unread, parts.of["replication"]
	return p, parts.err
}

// reader reads the parts of the positions.
type reader struct {
	session driver.Conn
	grant   string // the remedy if the account may not see something
	unread  []string
	of      map[string]string // the same, by what it is about
	err     error             // the first error after which the session cannot be used
}

// read returns the rows of the first statement that the server knows; none if the account may not see them, or the server has
// no such thing.
func (r *reader) read(what string, statements ...string) []map[string]string {
	if r.err != nil {
		return nil
	}
	for n, statement := range statements {
		rows, err := rowsOf(r.session, statement)
		var refused *mysql.MySQLError
		switch {
		case err == nil:
			return rows
		case !errors.As(err, &refused):
			r.err = err
			return nil
		case refused.Number == errSyntax && n+1 < len(statements):
		case refused.Number == errUnknown: // MySQL before 5.6 has no GTIDs
			return nil
		case refused.Number == errNoAccess:
			r.missing(what, fmt.Sprintf("the account may not see it (%s)", r.grant))
			return nil
		default:
			r.missing(what, fmt.Sprintf("Error %d: %s", refused.Number, printable(refused.Message, 200)))
			return nil
		}
	}
	return nil
}

func (r *reader) missing(what, why string) {
	r.of[what] = what + ": " + why
	r.unread = append(r.unread, r.of[what])
}

func queryOne(session driver.Conn, statement string) (map[string]string, error) {
	rows, err := rowsOf(session, statement)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// rowsOf returns the rows of a result without the columns that are NULL.
func rowsOf(session driver.Conn, statement string) ([]map[string]string, error) {
	found, err := session.(driver.QueryerContext).QueryContext(context.Background(), statement, nil)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	names := found.Columns()
	var rows []map[string]string
	for values := make([]driver.Value, len(names)); ; {
		switch err := found.Next(values); {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err
		case len(rows) == maxSources:
			return nil, fmt.Errorf("%s has more than %d rows", statement, maxSources)
		}
		row := map[string]string{}
		for n, v := range values {
			switch v := v.(type) {
			case nil:
			case []byte:
				row[names[n]] = string(v)
			default:
				row[names[n]] = fmt.Sprint(v)
			}
		}
		rows = append(rows, row)
	}
}
