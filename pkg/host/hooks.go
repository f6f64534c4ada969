package host

import (
	"context"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/message"
)

// RunHook implements director.Kernel.
func (h Host) RunHook(ctx context.Context, c command.Command, try bool) command.Outcome {
	switch {
	case h.Commands == nil:
		return command.Outcome{Unrunnable: "nothing here runs commands"}
	case try:
		return h.Commands.Try(ctx, c)
	}
	return h.Commands.Run(ctx, c)
}

// Post implements director.Kernel.
func (Host) Post(ctx context.Context, to, authorization string, body []byte) error {
	return message.Post(ctx, to, authorization, body)
}

// SendMail implements director.Kernel.
func (Host) SendMail(ctx context.Context, m message.Mail) error { return message.Send(ctx, m) }
