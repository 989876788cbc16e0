package demo

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is whom the agents and their servers run as. PostgreSQL refuses to run as
// root, so root lends the demonstration to the user postgres.
type owner struct {
	uid, gid   int
	credential *syscall.Credential // nil: as ourselves
}

// serverUser is the user that every package of PostgreSQL makes.
const serverUser = "postgres"

func findOwner() (owner, error) {
	if os.Geteuid() != 0 {
		return owner{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	u, err := user.Lookup(serverUser)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		return owner{}, fmt.Errorf("PostgreSQL does not run as root, and there is no user %s: install PostgreSQL's package, which makes it, or run the demonstration as another user", serverUser)
	}
	if err != nil {
		return owner{}, fmt.Errorf("look up user %s: %w", serverUser, err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return owner{}, fmt.Errorf("read the ids of user %s: %w", serverUser, err)
	}
	credential := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	ids, err := u.GroupIds() // ssl-cert, without which Debian's server key cannot be read
	if err != nil {
		return owner{}, fmt.Errorf("look up the groups of user %s: %w", serverUser, err)
	}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			credential.Groups = append(credential.Groups, uint32(n))
		}
	}
	return owner{uid: int(uid), gid: int(gid), credential: credential}, nil
}

// lend gives a file or directory to the owner.
func (o owner) lend(path string) error {
	if o.credential == nil {
		return nil
	}
	return os.Lchown(path, o.uid, o.gid)
}
