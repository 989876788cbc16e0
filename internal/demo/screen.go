package demo

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen prints the story line by line. On a terminal a block of lines below it is
// drawn again and again; elsewhere there is none.
type screen struct {
	out  *os.File
	live bool

	mu    sync.Mutex
	block []string // as drawn
	ended bool
}

func newScreen(out *os.File) *screen { return &screen{out: out, live: term.IsTerminal(int(out.Fd()))} }

// Say adds a line to the story.
func (s *screen) Say(line string) { s.Raw(line + "\n") }

// Raw adds text that ends with a newline.
func (s *screen) Raw(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	block := s.block
	fmt.Fprint(s.out, s.erase()+text)
	s.draw(block)
}

// Draw replaces the block.
func (s *screen) Draw(text string) {
	if !s.live {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	erase := s.erase()
	fmt.Fprint(s.out, erase)
	s.draw(s.fit(text))
}

// Close leaves the block as it is; what follows stands below it.
func (s *screen) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.block, s.ended = nil, true
}

// erase is what removes the block from the terminal. The lock is held.
func (s *screen) erase() string {
	if len(s.block) == 0 {
		return ""
	}
	n := len(s.block)
	s.block = nil
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", n)
}

func (s *screen) draw(block []string) {
	if len(block) == 0 {
		return
	}
	fmt.Fprint(s.out, strings.Join(block, "\n")+"\n")
	s.block = block
}

// fit cuts the lines to the terminal: one that wraps would be counted wrongly when
// the block is erased.
func (s *screen) fit(text string) []string {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 1 {
		width, height = 80, 24
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[:min(len(lines), height-1)]
	for i, line := range lines {
		if r := []rune(line); len(r) > width-1 {
			lines[i] = string(r[:width-1])
		}
	}
	return lines
}
