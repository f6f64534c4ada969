package suite

import (
	"encoding/json"
	"fmt"
	"time"
)

// Durations are how long jobs took when they last passed, by the machine's clock. The key is Job.Key.
type Durations map[string]time.Duration

// ParseDurations parses the output of Encode. Values that are not positive, or not below Unknown, are dropped.
func ParseDurations(data []byte) (Durations, error) {
	var seconds map[string]float64
	if err := json.Unmarshal(data, &seconds); err != nil {
		return nil, fmt.Errorf("durations of scenarios: %w: remove the file, it is created again", err)
	}
	d := make(Durations, len(seconds))
	for key, s := range seconds {
		if s > 0 && s < Unknown.Seconds() {
			d[key] = time.Duration(s * float64(time.Second))
		}
	}
	return d, nil
}

// Encode returns the durations as JSON, in seconds, sorted by key.
func (d Durations) Encode() ([]byte, error) {
	seconds := make(map[string]float64, len(d))
	for key, t := range d {
		seconds[key] = t.Round(time.Millisecond).Seconds()
	}
	return json.MarshalIndent(seconds, "", " ")
}
