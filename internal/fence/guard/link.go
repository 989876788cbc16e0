package guard

import (
	"errors"
	"os"
	"syscall"
)

// listen opens the guard's socket. The lock beside it makes sure that there is one
// guard for it: the kernel lets go of it when the guard is gone, however it ended.
// It returns the descriptor of the socket; the lock stays open.
func listen(path string) (int, error) {
	lock, err := syscall.Open(path+".lock", syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return -1, failed("open "+path+".lock", err)
	}
	if err := syscall.Flock(lock, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return -1, failed("lock "+path+".lock", err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, failed("make a socket", err)
	}
	if err := syscall.Unlink(path); err != nil && err != syscall.ENOENT {
		return -1, failed("remove "+path, err)
	}
	before := syscall.Umask(0o177) // the socket comes to be with mode 0600
	err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
	syscall.Umask(before)
	if err == nil {
		err = syscall.Listen(fd, 8)
	}
	if err != nil {
		return -1, failed("listen on "+path, err)
	}
	return fd, nil
}

// link is the connection of one agent.
type link struct {
	fd      int
	in      []byte
	out     []byte
	files   []int // descriptors that came and were not used yet
	waiting bool  // EPOLLOUT is asked for
}

var (
	errStranger = errors.New("peer is neither root nor the guard's own user")
	errFlood    = errors.New("more was sent than a message may have")
	errClosed   = errors.New("closed by the agent")
	errSlow     = errors.New("the agent does not read")
)

// accept takes a connection. The mode of the socket keeps others out already; the
// peer's identity is looked at all the same, for a directory that lets a
// stranger replace files.
func accept(listener int) (*link, error) {
	fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
	if err != nil {
		return nil, failed("accept", err)
	}
	peer, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	if err == nil && peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		err = errStranger
	}
	if err != nil {
		syscall.Close(fd)
		return nil, failed("accept", err)
	}
	return &link{fd: fd}, nil
}

// receive reads what is there and returns the complete lines.
func (l *link) receive() ([]string, error) {
	var lines []string
	buffer := make([]byte, 16<<10)
	ancillary := make([]byte, syscall.CmsgSpace(8*4))
	for {
		n, oob, _, _, err := syscall.Recvmsg(l.fd, buffer, ancillary, syscall.MSG_CMSG_CLOEXEC)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return lines, nil
		case err != nil:
			return lines, err
		case n == 0:
			return lines, errClosed
		}
		l.takeFiles(ancillary[:oob])
		l.in = append(l.in, buffer[:n]...)
		for {
			end := firstByte(l.in, '\n')
			if end < 0 {
				break
			}
			lines = append(lines, string(l.in[:end]))
			l.in = l.in[end+1:]
		}
		if len(l.in) > LineMax {
			return lines, errFlood
		}
	}
}

func (l *link) takeFiles(ancillary []byte) {
	messages, err := syscall.ParseSocketControlMessage(ancillary)
	if err != nil {
		return
	}
	for i := range messages {
		if fds, err := syscall.ParseUnixRights(&messages[i]); err == nil {
			l.files = append(l.files, fds...)
		}
	}
}

// useFiles hands over the descriptors that came along.
func (l *link) useFiles() []int {
	files := l.files
	l.files = nil
	return files
}

// send queues a message and sends what the socket takes.
func (l *link) send(m Message) error {
	// In bytes; an agent that is so far behind is gone or stopped. A record at its
	// longest, with every byte quoted, takes half of it.
	const most = 8 * RecordMax
	l.out = append(l.out, m.Line()...)
	if len(l.out) > most {
		return errSlow
	}
	return l.flush()
}

func (l *link) flush() error {
	for len(l.out) > 0 {
		n, err := syscall.SendmsgN(l.fd, l.out, nil, nil, syscall.MSG_NOSIGNAL)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return nil
		case err != nil:
			return err
		}
		l.out = l.out[n:]
	}
	l.out = nil
	return nil
}

func (l *link) close() {
	closeAll(l.useFiles())
	syscall.Close(l.fd)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}
