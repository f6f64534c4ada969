package metrics

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// flushAt is from how many bytes on they are passed on.
const flushAt = 32 << 10

// writer writes the text format of Prometheus: https://prometheus.io/docs/instrumenting/exposition_formats/
type writer struct {
	to     io.Writer
	buffer []byte
	err    error // the first of to; nothing is written after it
	family Family
	begun  bool // the head of the family has been written
}

func (w *writer) flush() {
	if w.err == nil && len(w.buffer) > 0 {
		_, w.err = w.to.Write(w.buffer)
	}
	w.buffer = w.buffer[:0]
}

// begin writes what is before the value of a sample: the head of the family if it is the first one, the name and the labels.
func (w *writer) begin(suffix string, values []string, le string) {
	if len(w.buffer) >= flushAt {
		w.flush()
	}
	b := w.buffer
	if f := w.family; !w.begun {
		w.begun = true
		b = append(append(append(append(b, "# HELP "...), f.Name...), ' '), f.Help...)
		b = append(append(append(append(b, "\n# TYPE "...), f.Name...), ' '), f.Type...)
		b = append(b, '\n')
	}
	b = append(append(b, w.family.Name...), suffix...)
	between := byte('{')
	for i, value := range values {
		b = append(append(append(b, between), w.family.Labels[i]...), '=', '"')
		b = append(appendEscaped(b, value), '"')
		between = ','
	}
	if le != "" {
		b = append(append(append(append(b, between), `le="`...), le...), '"')
		between = ','
	}
	if between == ',' {
		b = append(b, '}')
	}
	w.buffer = append(b, ' ')
}

func appendEscaped(b []byte, value string) []byte {
	for _, r := range value { // an invalid byte becomes U+FFFD
		switch r {
		case '\\':
			b = append(b, `\\`...)
		case '"':
			b = append(b, `\"`...)
		case '\n':
			b = append(b, `\n`...)
		default:
			b = append(b, string(r)...)
		}
	}
	return b
}

// count writes a sample that is a number of things. Its 64 bits are written exactly.
func (w *writer) count(n uint64, values ...string) {
	w.begin("", values, "")
	w.buffer = append(strconv.AppendUint(w.buffer, n, 10), '\n')
}

// number is count for a number that is never negative.
func (w *writer) number(n int, values ...string) { w.count(uint64(max(n, 0)), values...) }

// truth writes 1 or 0.
func (w *writer) truth(is bool, values ...string) {
	n := uint64(0)
	if is {
		n = 1
	}
	w.count(n, values...)
}

// seconds writes a duration.
func (w *writer) seconds(d time.Duration, values ...string) {
	w.begin("", values, "")
	w.buffer = append(appendSeconds(w.buffer, d), '\n')
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, d.Seconds(), 'g', -1, 64)
}

// moment writes a time in seconds since 1970; nothing if it is zero.
func (w *writer) moment(t time.Time, values ...string) {
	if t.IsZero() {
		return
	}
	w.begin("", values, "")
	w.buffer = append(strconv.AppendFloat(w.buffer, float64(t.UnixMilli())/1000, 'f', 3, 64), '\n')
}

// oneOf writes a sample for each word: 1 for the one that is, 0 for the others. An unknown word gets a sample too.
func (w *writer) oneOf(is string, words []string, values ...string) {
	all := append(values, "")
	known := false
	for _, word := range words {
		known = known || word == is
		all[len(all)-1] = word
		w.truth(word == is, all...)
	}
	if !known {
		all[len(all)-1] = is
		w.truth(true, all...)
	}
}

// histogram writes a histogram.
func (w *writer) histogram(buckets []Bucket, sum time.Duration, values ...string) {
	total := uint64(0)
	for _, b := range buckets {
		total += b.Count
		le := "+Inf"
		if b.Bound != 0 {
			le = strings.TrimSpace(string(appendSeconds(nil, b.Bound)))
		}
		w.begin("_bucket", values, le)
		w.buffer = append(strconv.AppendUint(w.buffer, total, 10), '\n')
	}
	w.begin("_sum", values, "")
	w.buffer = append(appendSeconds(w.buffer, sum), '\n')
	w.begin("_count", values, "")
	w.buffer = append(strconv.AppendUint(w.buffer, total, 10), '\n')
}
