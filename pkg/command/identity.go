package command

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// identity is who a command runs as.
type identity struct {
	name   string
	home   string
	uid    int
	gid    int
	groups []int
	change bool // this process is somebody else
}

// lookUp returns the identity of a command.
func lookUp(c Command) (identity, error) {
	name := c.User
	if name == "" && os.Geteuid() != 0 {
		name = strconv.Itoa(os.Geteuid())
	}
	if name == "" {
		name = DefaultUser
	}
	as, err := userOf(name)
	if err != nil {
		return as, err
	}
	if len(c.Groups) > 0 {
		as.groups = nil
		for _, name := range c.Groups {
			gid, err := groupOf(name)
			if err != nil {
				return as, err
			}
			as.groups = append(as.groups, gid)
		}
		as.gid = as.groups[0]
	}
	as.change = os.Geteuid() == 0 || as.uid != os.Geteuid() || len(c.Groups) > 0
	return as, nil
}

// userOf looks up a user in /etc/passwd and /etc/group. A number need not be there; its group is then the same number.
func userOf(name string) (identity, error) {
	u, err := user.Lookup(name)
	number, isNumber := idOf(name)
	if err != nil && isNumber {
		if u, err = user.LookupId(name); err != nil {
			return identity{name: name, home: "/", uid: number, gid: number, groups: []int{}}, nil
		}
	}
	if err != nil {
		return identity{}, fmt.Errorf("user %s does not exist in /etc/passwd: create it, or write its number", name)
	}
	as := identity{name: u.Username, home: u.HomeDir, groups: []int{}}
	as.uid, _ = idOf(u.Uid)
	as.gid, _ = idOf(u.Gid)
	ids, err := u.GroupIds()
	if err != nil {
		return as, fmt.Errorf("the groups of user %s cannot be read: %w", name, err)
	}
	for _, id := range ids {
		if gid, ok := idOf(id); ok {
			as.groups = append(as.groups, gid)
		}
	}
	return as, nil
}

func groupOf(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		name = g.Gid
	}
	gid, ok := idOf(name)
	if !ok {
		return 0, fmt.Errorf("group %s does not exist in /etc/group: create it, or write its number", name)
	}
	return gid, nil
}

// idOf reads a user or group number.
func idOf(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil
}

// assume changes this process to the identity, for good.
func (i identity) assume() error {
	if !i.change {
		return nil
	}
	err := syscall.Setgroups(i.groups)
	if err == nil {
		err = syscall.Setresgid(i.gid, i.gid, i.gid)
	}
	if err == nil {
		err = syscall.Setresuid(i.uid, i.uid, i.uid)
	}
	if err != nil {
		return fmt.Errorf("the daemon may not become user %s: %w: give its unit CAP_SETUID, CAP_SETGID and CAP_KILL, as deploy/systemd/lvs-director.service does", i.name, err)
	}
	return nil
}

// environment returns the variables of a command.
func (i identity) environment() []string {
	return []string{"PATH=" + searchPath, "LANG=C", "USER=" + i.name, "LOGNAME=" + i.name, "HOME=" + i.home}
}
