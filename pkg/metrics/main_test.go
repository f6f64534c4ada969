package metrics_test

import "flag"

var update = flag.Bool("update", false, "write what the tests compare with")
