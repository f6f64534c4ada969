package config

import (
	"slices"
	"strconv"
	"time"
)

// kind is a type of value: how it is read, compared and printed, and its description in the reference and the schema.
type kind[V any] struct {
	form
	// read returns the zero value after it has reported a problem (see value).
	read func(value) V
	same func(a, b V) bool
	// show prints a default for the reference, json for the schema; nil for a type without printable defaults.
	show func(V) string
	json func(V) any
}

// form describes the values of a kind.
type form struct {
	text   string   // in the column "type" of the reference
	schema *Schema  // without the keys inside
	inside *section // of a mapping, or of each mapping in a list; nil otherwise
	many   how      // how inside is repeated
}

// how tells how the mappings of a section are contained.
type how uint8

const (
	single how = iota // the value itself is the mapping
	list
	byNode // a mapping from node names to mappings
)

// scalar is a kind of scalar value.
func scalar[V comparable](text string, s Schema, read func(value) V) kind[V] {
	return kind[V]{form: form{text: text, schema: &s}, read: read, same: func(a, b V) bool { return a == b }}
}

// texts is a kind of string value.
func texts[V ~string](text string, s Schema, read func(value) V) kind[V] {
	s.Type = "string"
	k := scalar(text, s, read)
	k.show = func(v V) string { return string(v) }
	k.json = func(v V) any { return string(v) }
	return k
}

const namePattern = `^[A-Za-z0-9._-]{1,63}$`

var nodeName = texts("name", Schema{Pattern: namePattern}, value.name)

// wholeNumber is an integer from low to high.
func wholeNumber[V ~int | ~uint8 | ~uint16 | ~uint32](low, high int) kind[V] {
	k := scalar(strconv.Itoa(low)+" to "+strconv.Itoa(high), Schema{Type: "integer", Minimum: &low, Maximum: &high},
		func(v value) V {
			n, _ := v.whole(low, high)
			return V(n)
		})
	k.show = func(v V) string { return strconv.Itoa(int(v)) }
	k.json = func(v V) any { return int(v) }
	return k
}

// flag is true or false. Rules across values use def for an invalid value.
func flag(def bool) kind[bool] {
	k := scalar("boolean", Schema{Type: "boolean"}, func(v value) bool { return v.boolean(def) })
	k.show = strconv.FormatBool
	k.json = func(v bool) any { return v }
	return k
}

// durationPattern matches what time.ParseDuration accepts, except negative durations. A pattern cannot express the
// range.
const (
	unitPattern     = `(ns|us|µs|μs|ms|s|m|h)`
	durationPattern = `^(\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)` + unitPattern + `)+|-0+` + unitPattern + `)$`
)

// durationOf is a duration whose reader checks the range; text describes it in the reference.
func durationOf(text string, read func(value) time.Duration) kind[time.Duration] {
	k := scalar(text, Schema{Type: "string", Pattern: durationPattern}, read)
	k.show = span
	k.json = func(d time.Duration) any { return span(d) }
	return k
}

// durationIn is a duration from low to high.
func durationIn(low, high time.Duration) kind[time.Duration] {
	return durationOf("duration, `"+span(low)+"` to `"+span(high)+"`", func(v value) time.Duration {
		d, _ := v.duration(low, high)
		return d
	})
}

// secondsIn is a duration in whole seconds from low to high.
func secondsIn(low, high time.Duration) kind[time.Duration] {
	return durationOf("duration, `"+span(low)+"` to `"+span(high)+"`, whole seconds", func(v value) time.Duration {
		d, _ := v.seconds(low, high)
		return d
	})
}

// octetPattern is a number from 0 to 255 without leading zeros.
const (
	octetPattern = `(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`
	ipv4Pattern  = octetPattern + `(\.` + octetPattern + `){3}`
)

// oneOf is a word from a vocabulary.
func oneOf[V ~string](voc vocabulary) kind[V] {
	words := make([]any, len(voc.words))
	for i, w := range voc.words {
		words[i] = w
	}
	return texts(enumerate(quoted(voc.words), "or"), Schema{Enum: words}, func(v value) V { return V(v.oneOf(voc)) })
}

// listOf is a list of scalars.
func listOf[V comparable](item kind[V], text string, read func(value) []V) kind[[]V] {
	s := Schema{Type: "array", Items: item.schema}
	return kind[[]V]{form: form{text: text, schema: &s}, read: read, same: slices.Equal[[]V]}
}

// mappingsOf is a list of at least atLeast mappings of a section.
func mappingsOf[V any](inside *section, atLeast int, read func(value) []V) kind[[]V] {
	s := Schema{Type: "array"}
	if atLeast > 0 {
		s.MinItems = &atLeast
	}
	return kind[[]V]{form: form{text: "list", schema: &s, inside: inside, many: list}, read: read}
}
