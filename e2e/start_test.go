package e2e

import "testing"

func TestStart(t *testing.T) {
	c := newCluster(t, shape{})
	c.answering()
	c.startAll()
}
