package host

import (
	"context"

	"github.com/lvs-director/lvs-director/pkg/command"
	"github.com/lvs-director/lvs-director/pkg/message"
)

// hooks runs the programs of hooks.
var hooks command.Runner

// RunHook implements director.Kernel.
func (Host) RunHook(ctx context.Context, c command.Command, try bool) command.Outcome {
	if try {
		return hooks.Try(ctx, c)
	}
	return hooks.Run(ctx, c)
}

// Post implements director.Kernel.
func (Host) Post(ctx context.Context, to, authorization string, body []byte) error {
	return message.Post(ctx, to, authorization, body)
}

// SendMail implements director.Kernel.
func (Host) SendMail(ctx context.Context, m message.Mail) error { return message.Send(ctx, m) }
