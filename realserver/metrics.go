package realserver

import (
	"context"

	"github.com/lvs-director/lvs-director/pkg/metrics"
)

// Metrics returns what the metrics of this agent are made from: the result of its last pass. It may be called from any goroutine.
func (a *Agent) Metrics(context.Context) metrics.Node {
	doc := a.Snapshot()
	return metrics.Node{Head: doc.Head, Agent: &doc}
}
