package measure_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
	"github.com/lvs-director/lvs-director/e2e/lab/measure"
	"github.com/lvs-director/lvs-director/e2e/lab/standin"
)

// pair creates two hosts on one switch.
func pair(t *testing.T) (client, server *lab.Host) {
	t.Helper()
	n := lab.New(t)
	lan := n.Bridge("lan")
	return n.Host("alpha", lan.At("10.77.0.1/24")), n.Host("beta", lan.At("10.77.0.2/24"))
}

func TestClientSeesAnOutage(t *testing.T) {
	alpha, beta := pair(t)
	server := standin.Start(beta, ":3306", "beta")
	client := measure.Start(alpha, "10.77.0.2:3306", measure.Options{})
	client.WaitAnswered("beta", time.Minute)
	cut := time.Now()
	server.Pause()
	time.Sleep(1200 * time.Millisecond) // longer than an attempt
	server.Resume()
	client.WaitAnswered("beta", time.Minute)
	paused := time.Since(cut)
	result := client.Stop()
	t.Log(result)
	gap := result.Since(cut).LongestGap()
	// Connections that started in the last 150 ms of the pause are answered after it, and not late.
	if gap.Duration < time.Second || gap.Duration > paused {
		t.Errorf("gap %s, want 1 s to %s", gap, paused)
	}
	if result.Failures()["timeout"] == 0 {
		t.Errorf("failures %v", result.Failures())
	}
}

func TestClientReportsRefusals(t *testing.T) {
	alpha, _ := pair(t)
	client := measure.Start(alpha, "10.77.0.2:3306", measure.Options{})
	lab.Eventually(t, time.Minute, func() error {
		if client.Attempts().Failures()["refused"] < 5 {
			return fmt.Errorf("%s", client.Attempts())
		}
		return nil
	})
	if answers := client.Stop().AnsweredBy(); len(answers) != 0 {
		t.Errorf("answers %v", answers)
	}
}

func TestHeldConnections(t *testing.T) {
	alpha, beta := pair(t)
	server := standin.Start(beta, "10.77.0.2:3306", "beta")
	held := measure.OpenConnections(alpha, "10.77.0.2:3306", 5)
	if held.Servers()["beta"] != 5 || held.Alive()["beta"] != 5 {
		t.Errorf("held %v, alive %v", held.Servers(), held.Alive())
	}
	server.Kill()
	if alive := held.Alive(); len(alive) != 0 {
		t.Errorf("alive after the server was killed: %v", alive)
	}
	if len(held.Errors()["beta"]) != 5 {
		t.Errorf("causes %v", held.Errors())
	}
}
