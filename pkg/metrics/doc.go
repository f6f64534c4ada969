// Package metrics makes the metrics of a daemon from its status: names, labels and values, in the text format of Prometheus.
//
// It is pure: it reads no kernel, asks no loop and opens no port; package scrape does that. It keeps nothing between two scrapes.
// Each family of metrics is declared once, with the sentence that is its help and its line in docs/metrics.md.
//
// It writes the text format itself. The registry of client_golang links protobuf: 1.3 MB of code, which a director would lock in
// its memory also where metrics are off. Its parser and its linter judge the output in the tests.
package metrics
