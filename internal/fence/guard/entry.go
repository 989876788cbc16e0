package guard

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Ready is the descriptor on which a guard says "ready", or why it cannot be.
const Ready = 3

var errArguments = errors.New("want one argument: the path of the socket")

func init() {
	if len(os.Args) > 0 && os.Args[0] == Name {
		os.Exit(Main())
	}
}

// Main is the whole process; init calls it. It returns the exit code.
func Main() int {
	// The postmaster's parent-death signal hangs on the thread that forks it. Init
	// runs on the main thread, which lives as long as the process.
	runtime.LockOSThread()
	_ = nameProcess(Name) // cosmetic
	// No terminal and no service manager ends the guard by a polite signal. They are
	// caught and dropped, not ignored: what is ignored the server would inherit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE)
	err := errArguments
	if len(os.Args) == 2 {
		err = become(os.Args[1], Ready)
	}
	if err != nil {
		_, _ = syscall.Write(Ready, []byte(err.Error()+"\n"))
		_, _ = syscall.Write(2, []byte(Name+": "+err.Error()+"\n"))
		return 1
	}
	return 0
}
