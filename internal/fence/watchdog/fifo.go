package watchdog

import (
	"fmt"
	"time"
)

// fifo is the driver for tests, compatible with Patroni's own: a FIFO or a plain
// file stands for the device, and what an ioctl would do is written into it as a
// line, Ctimeout=<seconds>. Nobody resets anything; whoever reads can see how a
// device would have been treated.
type fifo struct {
	file
	set time.Duration
}

func openFIFO(path string) (device, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return &fifo{file: f}, nil
}

func (f *fifo) support() support {
	return support{name: "testing", setTimeout: true, magicClose: true}
}

func (f *fifo) setTimeout(d time.Duration) error {
	f.set = d
	return f.write("set the timeout of", fmt.Appendf(nil, "Ctimeout=%d\n", d/time.Second))
}

func (f *fifo) timeout() (time.Duration, error) { return f.set, nil }
