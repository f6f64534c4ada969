package main

import (
	"context"
	"database/sql"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab/mariadb"
)

// A session is a connection through the VIP that stays open, like those in an application's pool.
type session struct {
	conn   *sql.Conn
	server string // the server that answers
	id     int64  // the server's CONNECTION_ID()
}

// openSession logs in through the VIP until the named server answers. With rr and wrr that takes a few logins at most.
func (c *cluster) openSession(server string) *session {
	db := mariadb.Open(c.client, mysqlPort, mariadb.AppUser, mariadb.AppPassword, "app")
	db.SetMaxIdleConns(-1) // do not reuse closed connections
	for range 20 {
		s := &session{}
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		conn, err := db.Conn(ctx)
		if err == nil {
			s.conn = conn
			err = conn.QueryRowContext(ctx, "SELECT @@hostname, CONNECTION_ID()").Scan(&s.server, &s.id)
		}
		cancel()
		if err != nil {
			c.t.Fatalf("log in through the VIP: %v", err)
		}
		if s.server == server {
			return s
		}
		_ = conn.Close()
	}
	c.t.Fatalf("no login through the VIP was answered by %s", server)
	return nil
}

// alive reports whether the same connection still answers.
func (s *session) alive() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var id int64
	err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id)
	return err == nil && id == s.id
}

// write inserts a row and returns its id.
func (c *cluster) write(s *session, note string) int64 {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	done, err := s.conn.ExecContext(ctx, "INSERT INTO notes (note) VALUES (?)", note)
	if err != nil {
		c.t.Fatalf("a row through the VIP: %v", err)
	}
	id, err := done.LastInsertId()
	if err != nil {
		c.t.Fatalf("a row through the VIP: %v", err)
	}
	return id
}
