package plan

import (
	"github.com/lvs-director/lvs-director/pkg/vrrp"
)

// Password is the content of an instance's password file. The zero value is a file that has not been read.
type Password struct {
	Password vrrp.Password
	Problem  string // why there is no password, with the remedy
}

// unusable returns why an instance with this password file cannot send; "" if it can.
func (p Password) unusable(file string) string {
	switch {
	case p.Problem != "":
		return p.Problem
	case p.Password.IsZero():
		return "the password file " + file + " has not been read"
	}
	return ""
}

// authenticate gives an instance its password. Without it the instance is in FAULT, because it must not send adverts
// without a password, and would hear no other director.
func (i *Instance) authenticate(passwords map[string]Password) {
	if !i.Config.AuthPass {
		return
	}
	p := passwords[i.Config.AuthPasswordFile]
	i.Params.AuthType, i.Params.Password = 1, p.Password
	if text := p.unusable(i.Config.AuthPasswordFile); text != "" {
		i.own = append(i.own, Fault{Reason: text, Misfit: true})
	}
}
