// Package problemtest has the parts of a test that breaks things one by one, and sees that each problem code appears and
// goes away in time. Every declared code has a case in one of the tables:
//
//   - pkg/director/codes_test.go: what a director detects;
//   - realserver/codes_test.go: what an agent detects;
//   - pkg/daemon/codes_test.go: what the daemon around both detects, such as an unusable cluster file.
//
// It does not break anything itself, and no program imports it.
package problemtest
