// Package status defines the documents of `lvsctl status -o json`. They are an interface for users' scripts: fields may
// be added but are never renamed. The package does not depend on a daemon and reads no clock.
package status
