// Package require decides what a test does that finds a part of the kernel or of the machine missing: it is skipped, or
// it fails where LVS_REQUIRE says that the part must be there. LVS_REQUIRE is a list of parts with commas between them, or
// "all"; unset, every test may skip.
//
// It is for tests, refuses to find out whether a part is there, and knows nothing of the product.
package require
