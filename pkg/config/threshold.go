package config

import "math"

func thresholdField(name, keepalivedName, unset, doc string, in func(*realServer) *uint32) key[realServer] {
	return &field[realServer, uint32]{
		name: name, kind: wholeNumber[uint32](0, math.MaxInt32), in: in, unset: unset, doc: doc, reload: Live,
		words: []word{keepalived(keepalivedName)},
	}
}

// checkThresholds compares the limits of connections with each other, as the kernel does (ip_vs_edit_dest).
func (rs *realServer) checkThresholds(o object) {
	switch {
	case rs.LowerThreshold == 0:
	case rs.UpperThreshold == 0:
		o.locate("lower_threshold").fail("add upper_threshold", "has no effect without upper_threshold")
	case rs.LowerThreshold > rs.UpperThreshold:
		o.locate("lower_threshold").fail("", "%d is more than upper_threshold, which is %d", rs.LowerThreshold, rs.UpperThreshold)
	}
}
