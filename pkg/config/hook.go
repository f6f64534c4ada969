package config

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lvs-director/lvs-director/pkg/hook"
)

// Hook is what runs when an instance, a sync group, a real server or a virtual server changes: exactly one of Argv, Webhook
// and MailTo is set.
type Hook struct {
	On        hook.Moments
	Argv      Argv   // a program, an absolute path, and its arguments
	Arguments bool   // type, name, state and priority follow Argv, as keepalived passes them to notify scripts
	User      string // that the program runs as; "": see package command
	Groups    Argv   // "": those of the user
	// Webhook is an http or https URL that gets a POST request. AuthorizationFile has the value of its Authorization header;
	// "": none.
	Webhook           string
	AuthorizationFile string
	MailTo            Argv // mail addresses
	// Timeout limits each try, of which there are at most 1 + Retries, RetryDelay apart.
	Timeout    time.Duration
	Retries    int
	RetryDelay time.Duration
}

// Label names the hook for messages: its program, the host of its webhook, or the first mail address.
func (h Hook) Label() string {
	switch {
	case h.Argv != "":
		return h.Argv.Words()[0]
	case h.Webhook != "":
		if u, err := url.Parse(h.Webhook); err == nil { // the rest may contain a secret
			return u.Scheme + "://" + u.Host
		}
	case h.MailTo != "":
		return "mail to " + h.MailTo.Words()[0]
	}
	return "hook"
}

const (
	minHookTimeout = 100 * time.Millisecond
	maxHookTimeout = 10 * time.Minute
	hookTimeout    = 30 * time.Second
	// preStopTimeout and maxPreStop limit what a graceful stop waits for; systemd kills the director after 30 s (TimeoutStopSec
	// in deploy/systemd/lvs-director.service).
	preStopTimeout = 5 * time.Second
	maxPreStop     = 10 * time.Second
	maxRetryDelay  = 10 * time.Minute
)

// hooks is the section of the hooks of the whole file and of instances.
var hooks = hookSection()

func hookSection() *sectionOf[Hook] {
	s := &sectionOf[Hook]{
		section: section{
			name: "notify", what: "a hook with on and one of command, webhook and mail_to",
			intro: "A hook runs a program, sends an HTTP request or a mail when the state of an instance, a sync group, a real server or a quorum changes. Those at\n" +
				"the top level are for all of them. The hooks of one subject run one after the other, in the order of the changes,\n" +
				"those of different ones at the same time. Nothing waits for a hook but a graceful stop for `pre_stop`. See\n" +
				"[hooks.md](hooks.md).",
			words: []word{
				needless("is keepalived's word: read lvsctl events -f -o json, which has every event, or says that some were lost", "notify_fifo", "notify_fifo_script", "vrrp_notify_fifo", "vrrp_notify_fifo_script", "lvs_notify_fifo", "lvs_notify_fifo_script"),
			},
		},
		rules: func(h *Hook, o object) { h.check(o) },
	}
	s.fields = slices.Concat([]key[Hook]{
		&field[Hook, hook.Moments]{
			name: "on", in: func(h *Hook) *hook.Moments { return &h.On }, kind: moments(),
			required: "a list of moments, for example [master, backup, fault]",
			doc: "`master`, `backup`, `fault`, `stop`: the subject is in that state now, `stop` after it was stopped or removed. `any`: these " +
				"four. `pre_stop`: a MASTER is about to be stopped and still has its addresses. `priority`: the effective priority has changed. " +
				"`lower_advert`: a MASTER has received an advert of lower priority, at most once per second. `server_up`, `server_down`: the " +
				"checks of a real server pass again, or fail. `quorum_up`, `quorum_down`: the quorum of a virtual server is met, or lost",
			reload: Live,
		},
	}, commandFields(), messageFields(), tryFields())
	return s.build()
}

func commandFields() []key[Hook] {
	return []key[Hook]{
		&field[Hook, Argv]{
			name: "command", in: func(h *Hook) *Argv { return &h.Argv }, kind: argv(), unset: "none",
			doc: "a program, an absolute path, and its arguments. There is no shell unless it is the program", reload: Live,
			words: []word{synonyms("script", "exec")},
		},
		&field[Hook, bool]{
			name: "arguments", kind: flag(false), in: func(h *Hook) *bool { return &h.Arguments },
			doc: "whether four arguments follow, as those of keepalived's `notify`: `INSTANCE` or `GROUP`, the name, the state, the effective priority", reload: Live,
		},
		&field[Hook, string]{
			name: "user", kind: texts("text", Schema{MinLength: 1}, value.text), in: func(h *Hook) *string { return &h.User },
			unset: "`nobody`", doc: "the user that the program runs as. A program that runs as root must not be writable for others", reload: Live,
		},
		&field[Hook, Argv]{
			name: "groups", in: func(h *Hook) *Argv { return &h.Groups }, kind: groups(), unset: "those of the user", doc: "its groups, the primary one first", reload: Live,
		},
	}
}

func messageFields() []key[Hook] {
	one := 1
	return []key[Hook]{
		&field[Hook, string]{
			name: "webhook", in: func(h *Hook) *string { return &h.Webhook }, kind: texts("URL", Schema{Pattern: "^https?://"}, value.webURL),
			unset: "none", doc: "a URL that gets a POST request with the change as JSON; any answer but 2xx is a failure", reload: Live, words: []word{synonyms("url")},
		},
		&field[Hook, string]{
			name: "authorization_file", kind: texts("absolute path", Schema{Pattern: "^/"}, value.absolutePath), in: func(h *Hook) *string { return &h.AuthorizationFile },
			unset: "none", doc: "a file with the value of the request's Authorization header, for example `Bearer …`; mode 0600 or 0640", reload: Live,
			words: []word{{names: []string{"authorization", "token", "password"}, message: "secrets are not allowed in the cluster file", hint: "write it to a file with mode 0600 and set authorization_file"}},
		},
		&field[Hook, Argv]{
			name: "mail_to", in: func(h *Hook) *Argv { return &h.MailTo }, unset: "none",
			kind: scalar("list of mail addresses", Schema{Type: "array", Items: &Schema{Type: "string", MinLength: 1}, MinItems: &one}, value.mailAddresses),
			doc:  "mail addresses, which need [`mail`](#mail)", reload: Live,
			words: []word{keepalived("smtp_alert", "smtp_alert_faults", "notification_email").write("`notify: [{on: [any], mail_to: [ops@example.com]}]` and `mail`")},
		},
	}
}

func tryFields() []key[Hook] {
	return []key[Hook]{
		&field[Hook, time.Duration]{
			name: "timeout", kind: durationIn(minHookTimeout, maxHookTimeout), in: func(h *Hook) *time.Duration { return &h.Timeout },
			defOf: func(h *Hook) time.Duration {
				if h.On.Has(hook.PreStop) {
					return preStopTimeout
				}
				return hookTimeout
			},
			unset: "`30s`; with `pre_stop`: `5s`", doc: "how long each try may take. A program is then killed", reload: Live,
		},
		&field[Hook, int]{
			name: "retries", kind: wholeNumber[int](0, 100), in: func(h *Hook) *int { return &h.Retries },
			doc: "how often a hook that failed is tried again, unless the state has changed meanwhile", reload: Live,
		},
		&field[Hook, time.Duration]{
			name: "retry_delay", kind: durationIn(minHookTimeout, maxRetryDelay), in: func(h *Hook) *time.Duration { return &h.RetryDelay }, def: time.Second,
			doc: "the time between two tries", reload: Live,
		},
	}
}

// moments is a list of moments.
func moments() kind[hook.Moments] {
	voc := vocabulary{what: "a moment"}
	for _, m := range hook.All() {
		voc.words = append(voc.words, string(m))
	}
	item, one := oneOf[hook.Moment](voc), 1
	k := scalar("list of moments", Schema{Type: "array", Items: item.schema, MinItems: &one}, func(v value) hook.Moments {
		v.notEmpty("at least one moment")
		var all hook.Moments
		for _, one := range v.items("moments") {
			all |= hook.Of(item.read(one))
		}
		return all
	})
	return k
}

// check applies the rules between the keys of a hook.
func (h *Hook) check(o object) {
	var given []string
	for _, name := range []string{"command", "webhook", "mail_to"} {
		if !o.missing(name) {
			given = append(given, name)
		}
	}
	switch {
	case len(given) == 0:
		o.locate("command").fail("add command: [/path/to/program], webhook: https://…, or mail_to: [address]", "the hook does nothing")
	case len(given) > 1:
		o.locate(given[1]).fail("write two hooks", "a hook has only one of %s", enumerate(given, "and"))
	}
	for _, only := range []struct{ name, of string }{{"arguments", "command"}, {"user", "command"}, {"groups", "command"}, {"authorization_file", "webhook"}} {
		if !o.missing(only.name) && o.missing(only.of) && len(given) > 0 {
			o.locate(only.name).fail("", "is only for %s", only.of)
		}
	}
	if !o.missing("groups") && o.missing("user") {
		o.locate("groups").fail("", "needs a user")
	}
	if !o.missing("arguments") && h.On.Servers()|h.On.Quorums() != 0 {
		o.locate("arguments").fail("remove it, or write two hooks", "those of keepalived are for instances and groups only; a program has the environment for the others")
	}
	if h.On.Has(hook.PreStop) && h.Timeout > maxPreStop {
		o.locate("timeout").fail("", "%s: a stop waits for pre_stop at most %s, because systemd ends it", span(h.Timeout), span(maxPreStop))
	}
	if h.On.Has(hook.PreStop) && h.Retries > 0 {
		o.locate("retries").fail("", "a stop waits for pre_stop only once")
	}
	for _, f := range []struct{ name, path string }{{"command", programOf(h.Argv)}, {"authorization_file", h.AuthorizationFile}} {
		if dir := hiddenFromUnits(f.path); dir != "" {
			o.locate(f.name).warn("put it elsewhere", "the systemd unit hides %s from the daemon", dir)
		}
	}
}

func programOf(a Argv) string {
	if words := a.Words(); len(words) > 0 {
		return words[0]
	}
	return ""
}

// webURL reads an http or https URL.
func (v value) webURL() string {
	s := v.text()
	u, err := url.Parse(s)
	switch {
	case s == "":
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		v.fail("", "is no URL of http or https")
		return ""
	case u.User != nil:
		v.fail("write it to a file with mode 0600 and set authorization_file", "passwords are not allowed in the cluster file")
		return ""
	}
	return s
}

// mailAddresses reads a list of mail addresses.
func (v value) mailAddresses() Argv {
	v.notEmpty("at least one mail address")
	var all []string
	for _, item := range v.items("mail addresses") {
		if a := item.mailAddress(); a != "" {
			all = append(all, a)
		}
	}
	return ArgvOf(all...)
}

// mailAddress rejects what is surely no mail address.
func (v value) mailAddress() string {
	s := v.text()
	local, domain, found := strings.Cut(s, "@")
	if s != "" && (!found || local == "" || domain == "" || strings.ContainsAny(s, " \t\r\n,;<>\x00")) {
		v.fail("", "%s is no mail address", quote(s))
		return ""
	}
	return s
}

// hooksField declares notify in a section.
func hooksField[S any](in func(*S) *[]Hook, per scope) key[S] {
	k := mappingsOf(&hooks.section, 0, func(v value) []Hook { return bare(hooks.each(v, "hooks", Hook{})) })
	k.same = slices.Equal[[]Hook]
	return &field[S, []Hook]{
		name: "notify", in: in, kind: k,
		unset: "none", doc: "programs, HTTP requests and mails for changes", perNode: per,
		words: []word{
			keepalived("notify_master").write("`notify: [{on: [master], command: [/path/to/program]}]`"),
			keepalived("notify_backup").write("`notify: [{on: [backup], command: [/path/to/program]}]`"),
			keepalived("notify_fault").write("`notify: [{on: [fault], command: [/path/to/program]}]`"),
			keepalived("notify_stop", "notify_deleted").write("`notify: [{on: [stop], command: [/path/to/program]}]`"),
			keepalived("notify_master_rx_lower_pri").write("`notify: [{on: [lower_advert], command: [/path/to/program]}]`"),
			keepalived("notify_priority_changes").write("`notify: [{on: [priority], command: [/path/to/program]}]`"),
			keepalived("smtp_alert", "smtp_alert_faults").write("`notify: [{on: [any], mail_to: [ops@example.com]}]`"),
		},
	}
}

// checkHooks rejects mails without a mail server.
func (c *contents) checkHooks(top object) {
	check := func(hooks []Hook, at value) {
		if c.mail == (Mail{}) && slices.ContainsFunc(hooks, func(h Hook) bool { return h.MailTo != "" }) {
			at.fail("add mail: {server: …, from: …} at the top level", "mail_to needs a mail server")
		}
	}
	check(c.hooks, top.locate("notify"))
	c.checkPoolHooks(check)
}

func (h Hook) moments() []string {
	var all []string
	for _, m := range h.On.List() {
		all = append(all, string(m))
	}
	return all
}

// hookFields are the keys of an instance that have to do with hooks.
func hookFields() []key[instance] {
	return []key[instance]{hooksField(func(i *instance) *[]Hook { return &i.Hooks }, perNode)}
}
