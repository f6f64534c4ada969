package probe

import (
	"bytes"
	"context"
	"database/sql/driver"
	"strings"
	"testing"

	"github.com/lvs-director/lvs-director/pkg/probe/mysqltest"
)

// TestRows: the first column of a row may be empty, NULL, or longer than 250 bytes, as a set of GTIDs is; a query may be answered
// by a request for a file, which is refused.
func TestRows(t *testing.T) {
	frame := func(n byte, payload string) string {
		return string([]byte{byte(len(payload)), byte(len(payload) >> 8), 0, n}) + payload
	}
	const (
		okay   = "\x00\x00\x00\x02\x00\x00\x00"
		column = "\x03def\x00\x00\x00\x01g\x00\x0c\x21\x00\x01\x00\x00\x00\xfd\x00\x00\x00\x00\x00"
		end    = "\xfe\x00\x00\x02\x00\x00\x00"
	)
	greeting := frame(0, string(mysqltest.Greeting(mysqltest.Native, bytes.Repeat([]byte{'x'}, 20)))) + frame(2, okay)
	long := strings.Repeat("a1314f5a-2d44-11ef-9f35-000c295ce23f:1-1000000,", 20)
	for want, answer := range map[string]string{
		"":      frame(1, "\x01") + frame(2, column) + frame(3, "\x00") + frame(4, end),
		"NULL":  frame(1, "\x01") + frame(2, column) + frame(3, "\xfb") + frame(4, end),
		"7":     frame(1, "\x01") + frame(2, column) + frame(3, "\x017") + frame(4, end),
		long:    frame(1, "\x01") + frame(2, column) + frame(3, "\xfc"+string([]byte{byte(len(long)), byte(len(long) >> 8)})+long) + frame(4, end),
		"error": frame(1, "\xfb/etc/passwd"),
		"many":  frame(1, "\xfc\xff\xff"),
	} {
		got := "nothing"
		k := talk{asks: "rows of", answer: longAnswer, ask: func(session driver.Conn) error {
			rows, err := rowsOf(session, "SELECT")
			if err == nil && len(rows) == 1 {
				var is bool
				if got, is = rows[0]["g"]; !is {
					got = "NULL"
				}
			}
			return err
		}}
		conn := recording{sent: bytes.NewReader([]byte(greeting + answer))}
		r := k.converse(t.Context(), start(context.Background(), "positions"), k.over(conn), &Target{User: user, Password: password}, func() {})
		if refused := want == "error" || want == "many"; refused != (r.Class.String() == "bad") || !refused && got != want {
			t.Errorf("%.40q: %.40q, %+v", want, got, r)
		}
	}
}
