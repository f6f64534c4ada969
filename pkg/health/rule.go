package health

import "fmt"

// Rule says what decided the state of a check, and what would change it.
func (s State) Rule() string {
	times := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s in a row", n, many)
	}
	switch {
	case !s.known && s.fails > 0:
		return fmt.Sprintf("undecided: %d of %d failures; it was in the table when this director started", s.fails, s.fall)
	case !s.known:
		return "undecided: no result says anything about the server yet; the first one that does decides"
	case !s.up && s.first:
		return fmt.Sprintf("down: the first result was a failure; comes back after %s (rise), of which it has %d", times(s.needed(), "success", "successes"), s.passes)
	case !s.up && s.early:
		return fmt.Sprintf("down: %s (fall), which were checked at once, because the server had ended the kept connection; comes back after %s (rise, and for at least a second), of which it has %d",
			times(s.fall, "failure", "failures"), times(s.needed(), "success", "successes"), s.passes)
	case !s.up && s.cause == Shutdown:
		return fmt.Sprintf("down: the server reported that it shuts down, which counts at once; comes back after %s (rise), of which it has %d", times(s.needed(), "success", "successes"), s.passes)
	case !s.up:
		return fmt.Sprintf("down: %s (fall); comes back after %s (rise), of which it has %d", times(s.fall, "failure", "failures"), times(s.needed(), "success", "successes"), s.passes)
	case s.full:
		return fmt.Sprintf("full: the server takes no more connections; that ends after %s (rise), of which it has %d", times(s.rise, "success", "successes"), s.passes)
	case s.fails > 0:
		return fmt.Sprintf("up: goes down after %s (fall), of which it has %d", times(s.fall, "failure", "failures"), s.fails)
	default:
		return fmt.Sprintf("up: goes down after %s (fall)", times(s.fall, "failure", "failures"))
	}
}
