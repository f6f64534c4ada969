// Package require decides what happens to a test if a part of the kernel or of the machine is missing: it is skipped,
// or it fails if LVS_REQUIRE names the part. LVS_REQUIRE is a comma-separated list of parts, or "all"; if it is unset,
// every test may be skipped.
//
// It is for tests. It does not check whether a part is present, and does not depend on the product.
package require
