package measure

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

// runMySQL is runTCP with logins, one goroutine per attempt.
func runMySQL(encoded []byte) error {
	a, err := decode(encoded)
	if err != nil {
		return err
	}
	connector, err := a.connector()
	if err != nil {
		return err
	}
	query := a.MySQL.Query
	if query == "" {
		query = "SELECT @@hostname"
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	if err := lab.Ready(); err != nil {
		return err
	}
	var running sync.WaitGroup
	next := time.Now()
	for {
		running.Go(func() { askOnce(connector, query, a.Timeout) })
		next = next.Add((1 + time.Since(next)/a.Every) * a.Every) // skips missed ticks
		select {
		case <-time.After(time.Until(next)):
		case <-stop:
			running.Wait()
			return nil
		}
	}
}

func (a arguments) connector() (driver.Connector, error) {
	if a.MySQL == nil {
		return nil, fmt.Errorf("no login given")
	}
	config := mysql.NewConfig()
	config.User, config.Passwd = a.MySQL.User, a.MySQL.Password
	config.Net, config.Addr = "tcp", a.Target.String()
	// The driver would log each broken connection to stderr; here these are the result.
	config.Logger = log.New(io.Discard, "", 0)
	return mysql.NewConnector(config)
}

// askOnce makes one attempt: log in, query, quit. Its line is written with one write, so that concurrent attempts do
// not mix lines.
func askOnce(connector driver.Connector, query string, patience time.Duration) {
	start := monotonic()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server, err := ask(ctx, connector, query)
	failure := ""
	if err != nil {
		failure, server = mysqlCause(ctx, err), ""
	}
	_, _ = fmt.Printf("a %d %d %s %s\n", start, monotonic()-start, word(failure), word(server))
}

func ask(ctx context.Context, connector driver.Connector, query string) (string, error) {
	conn, err := connector.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return "", fmt.Errorf("the driver does not support queries")
	}
	rows, err := queryer.QueryContext(ctx, query, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil {
		return "", err
	}
	if text, ok := row[0].([]byte); ok {
		return string(text), nil
	}
	return fmt.Sprint(row[0]), nil
}

// mysqlCause returns the word for a failed attempt: the server's error number, or that of the network error.
func mysqlCause(ctx context.Context, err error) string {
	var serverError *mysql.MySQLError
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(err, &serverError):
		return fmt.Sprintf("mysql-%d", serverError.Number)
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &errno):
		return cause(errno)
	case errors.Is(err, io.EOF), errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, driver.ErrBadConn):
		return "closed"
	default:
		return err.Error()
	}
}
