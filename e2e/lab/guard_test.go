package lab_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lvs-director/lvs-director/e2e/lab"
)

const victimVariable = "LVS_LAB_TEST_VICTIM"

// TestScenarioThatIsKilled is the process that TestKilledTestLeavesNothing kills.
func TestScenarioThatIsKilled(t *testing.T) {
	if os.Getenv(victimVariable) == "" {
		t.Skip("runs only inside TestKilledTestLeavesNothing")
	}
	n := lab.New(t)
	d := n.Host("alpha").Start("parent", "sh", "-c", "setsid sleep 1001 & echo $!; wait")
	fmt.Printf("victim %s %s\n", d.WaitLog(`^\d+$`, time.Minute).Text, n.Dir())
	time.Sleep(time.Hour)
}

func TestKilledTestLeavesNothing(t *testing.T) {
	if os.Getenv("LVS_LAB_INSIDE") == "guest" {
		t.Skip("in a guest every process ends with the guest: `make runner` runs it on the machine")
	}
	victim := exec.Command(os.Args[0], "-test.run=^TestScenarioThatIsKilled$")
	victim.Env = append(os.Environ(), victimVariable+"=yes")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(2*time.Minute, func() { _ = victim.Process.Kill() })
	defer overdue.Stop()
	var words []string
	for in := bufio.NewScanner(out); in.Scan(); {
		if words = strings.Fields(in.Text()); len(words) == 3 && words[0] == "victim" {
			break
		}
	}
	_ = victim.Process.Kill()
	_ = victim.Wait()
	if len(words) != 3 {
		t.Fatalf("the victim printed %q", words)
	}
	lab.Eventually(t, time.Minute, func() error {
		for _, name := range processNames(t) {
			if name == "sleep 1001" {
				return fmt.Errorf("process %s is still running", words[1])
			}
		}
		if _, err := os.Stat(words[2]); err == nil {
			return fmt.Errorf("directory %s still exists", words[2])
		}
		return nil
	})
}
