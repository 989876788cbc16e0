package top

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// gap stands in a curve where nothing is known.
const gap = -1

// leastPeak is the lag, in bytes, below which a curve does not use its full height:
// a few records of log must not look like a mountain.
const leastPeak = 64 << 10

var (
	levels      = []rune("▁▂▃▄▅▆▇█")
	levelsASCII = []rune("_.-=+*#@")
)

// curve draws the newest points, one character each, as high as the highest of them.
// It returns that as well.
func curve(points []float64, width int, ascii bool) (text string, peak float64) {
	if len(points) > width {
		points = points[len(points)-width:]
	}
	signs, nothing := levels, '·'
	if ascii {
		signs, nothing = levelsASCII, ' '
	}
	if len(points) > 0 {
		peak = max(0, slices.Max(points))
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(points)))
	for _, p := range points {
		if p < 0 {
			b.WriteRune(nothing)
			continue
		}
		i := int(p / max(peak, leastPeak) * float64(len(signs)))
		b.WriteRune(signs[min(i, len(signs)-1)])
	}
	return b.String(), peak
}

// size is a number of bytes as people say it.
func size(bytes float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for bytes >= 1000 && i < len(units)-1 { // four digits never stand there
		bytes /= 1024
		i++
	}
	if i > 0 && bytes < 9.95 {
		return fmt.Sprintf("%.1f %s", bytes, units[i])
	}
	return fmt.Sprintf("%.0f %s", bytes, units[i])
}

// duration in the two largest units that matter.
func duration(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case s < 0:
		return "0s"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
	}
}

// milliseconds of an answer.
func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
