package lvs

import (
	"strings"
	"testing"
)

// Thresholds are in the commands, and what they lack is a comment.
func TestCommands(t *testing.T) {
	limited, odd := dr(11, 3), dr(12, 1)
	limited.Upper, limited.Lower = 400, 350
	odd.Stray = "tunnel type 9"
	service := wrr(3306, limited, odd)
	service.Stray = "persistence engine sip"
	want := `-A -t 10.77.0.100:3306 -s wrr
# the line above lacks: persistence engine sip
-a -t 10.77.0.100:3306 -r 10.77.0.11:3306 -g -w 3 -x 400 -y 350
-a -t 10.77.0.100:3306 -r 10.77.0.12:3306 -g -w 1
# the line above lacks: tunnel type 9`
	if got := strings.Join(Commands([]Service{service}), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
