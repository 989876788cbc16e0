package guard

import (
	"syscall"
	"unsafe"

	"matriarch/internal/boottime"
)

// What package syscall does not have. The numbers from 424 on are the same on
// every architecture that Go runs Linux on (asm-generic/unistd.h).
const (
	sysPidfdSendSignal = 424
	sysPidfdOpen       = 434

	clockBoottime    = 7          // linux/time.h
	timerAbsolute    = 1          // TFD_TIMER_ABSTIME, linux/timerfd.h
	nonblock         = 0o4000     // O_NONBLOCK, and with it TFD_, EFD_ and SOCK_NONBLOCK
	closeOnExec      = 0o2000000  // O_CLOEXEC, likewise
	prSetName        = 15         // linux/prctl.h
	prSetSubreaper   = 36         // PR_SET_CHILD_SUBREAPER
	lockOnFault      = 4          // MCL_ONFAULT, asm-generic/mman.h
	eventExceptional = 0x2        // EPOLLPRI
	eventReadable    = 0x1        // EPOLLIN
	eventWritable    = 0x4        // EPOLLOUT
	eventHangUp      = 0x10 | 0x8 // EPOLLHUP, EPOLLERR
)

// newTimer makes a timerfd on the clock that runs on in suspend. It is not of the
// kind that wakes a suspended machine (CLOCK_BOOTTIME_ALARM): the kernel refuses
// to suspend at all while such a timer is due within two seconds
// (alarmtimer_suspend), and a primary's always is. A machine that resumes finds
// the timer expired.
func newTimer() (int, error) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockBoottime, nonblock|closeOnExec, 0)
	if errno != 0 {
		return -1, failed("make a timer on CLOCK_BOOTTIME", errno)
	}
	return int(fd), nil
}

// setTimer sets it to an instant; 0 is never.
func setTimer(fd int, at boottime.Instant) error {
	spec := struct{ interval, value syscall.Timespec }{value: syscall.NsecToTimespec(int64(at))}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(fd), timerAbsolute, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	if errno != 0 {
		return failed("set the timer", errno)
	}
	return nil
}

// newEvent makes an eventfd, by which another goroutine ends an epoll_wait.
func newEvent() (int, error) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, nonblock|closeOnExec, 0)
	if errno != 0 {
		return -1, failed("make an eventfd", errno)
	}
	return int(fd), nil
}

// clear8 takes what a timerfd or an eventfd has to tell, eight bytes.
func clear8(fd int) {
	var count [8]byte
	_, _ = syscall.Read(fd, count[:]) // EAGAIN: there was nothing
}

func pidfdOpen(pid int) (int, error) {
	fd, _, errno := syscall.RawSyscall(sysPidfdOpen, uintptr(pid), 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func pidfdSignal(fd int, sig syscall.Signal) error {
	_, _, errno := syscall.RawSyscall6(sysPidfdSendSignal, uintptr(fd), uintptr(sig), 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func prctl(option, argument uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, argument, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// nameProcess sets what ps and /proc/PID/comm show: at most 15 bytes.
func nameProcess(name string) error {
	var text [16]byte
	copy(text[:15], name)
	return prctl(prSetName, uintptr(unsafe.Pointer(&text[0])))
}

// readSmall reads a file of /proc or of a cgroup in one go, into buffer.
func readSmall(path string, buffer []byte) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	n, err := syscall.Read(fd, buffer)
	if err != nil {
		return nil, err
	}
	return buffer[:n], nil
}

// writeSmall writes a file of /proc or of a cgroup in one go.
func writeSmall(path, text string) error {
	fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return failed("open "+path, err)
	}
	defer syscall.Close(fd)
	if _, err := syscall.Write(fd, []byte(text)); err != nil {
		return failed("write "+path, err)
	}
	return nil
}
