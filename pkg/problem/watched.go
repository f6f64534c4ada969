package problem

// The codes about what tracks watch.
const (
	CommandUnrunnable Code = "command_unrunnable"
	TrackUnreadable   Code = "track_unreadable"
)

func watchedCodes() []Declaration {
	return []Declaration{
		{
			Code: CommandUnrunnable, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "the command of a check cannot be run, or does not end although it was killed. That counts as a failure of a track; a real server keeps its last state",
			Remedy: "act on the reason in lvsctl status. The program is missing or may not be executed: install it, or chmod a+rx it and the directories above it. It is not run as root: let only root write to it and to the directories above it, or set user. The daemon may not become the user: use the shipped unit. It does not end: find what it waits for. lvsctl check on this director shows the same; the next run of the command shows whether it works",
		},
		{
			Code: TrackUnreadable, Severity: Warning, Role: Director, Subject: "real server or track",
			Means:  "what a track, or a check of type file, watches cannot be read: its last state is kept, and a change is not noticed",
			Remedy: "act on the reason in lvsctl status. A file: write a whole number into it, or let the daemon read it (ls -l; the unit hides /root, /home and /tmp). A read that does not return: look for processes in state D (ps -eo pid,stat,wchan,comm) and at the disk or network file system. The track goes on by itself",
		},
	}
}
