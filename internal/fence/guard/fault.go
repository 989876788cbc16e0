package guard

import "errors"

// fault is an error with what was being done. It stands in for fmt.Errorf, which
// this package does without (see the package comment).
type fault struct {
	doing string
	cause error
}

func (f *fault) Error() string { return f.doing + ": " + f.cause.Error() }
func (f *fault) Unwrap() error { return f.cause }

func failed(doing string, cause error) error { return &fault{doing, cause} }

var (
	errNoServer = errors.New("no server is running")
	errServer   = errors.New("a server is running")
	errEnded    = errors.New("the process has ended")
)
