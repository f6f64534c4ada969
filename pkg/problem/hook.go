package problem

// HookFailed is the code about hooks.
const HookFailed Code = "hook_failed"

func hookCodes() []Declaration {
	return []Declaration{{
		Code: HookFailed, Severity: Warning, Role: Director, Subject: "instance, sync group, real server or virtual server, or the words real servers or virtual servers, and hook",
		Means:  "a hook under notify failed when it ran last, or would fail now: what it is for has not been done. Those that would fail for one cause are one problem, about the first of them, and so are those of real servers, or of more than ten virtual servers, that run the same program, ask the same webhook host and port or send mail to the same first address: it lasts until they have run successfully for each of them, or until a reload",
		Remedy: "act on the text: run the command by hand as the user that it runs as, open the URL from this machine, or read the log of the mail server. Do by hand what the hook should have done. Then run lvsctl reload: the problem is gone, unless the hook would still fail",
	}}
}
