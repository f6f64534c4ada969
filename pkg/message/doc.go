// Package message sends webhooks and mails.
//
// It does not decide when, and does not try again.
package message
