package config

import "strings"

// nearest finds the known name that a person most likely meant: equal but for case
// and dashes, a slip of the keyboard away, or the only one that begins so. Empty if
// none is near.
func nearest(name string, known []string) string {
	best, bestDistance := "", 1+max(1, len(name)/3)
	plain := plainName(name)
	if len(plain) > 64 {
		return "" // no key is that long
	}
	for _, candidate := range known {
		d := editDistance(plain, plainName(candidate))
		if d < bestDistance || (d == bestDistance && best != "" && candidate < best) {
			best, bestDistance = candidate, d
		}
	}
	if best == "" && len(plain) >= 4 {
		for _, candidate := range known {
			if !strings.HasPrefix(candidate, plain) {
				continue
			}
			if best != "" {
				return ""
			}
			best = candidate
		}
	}
	return best
}

func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(name))
}

// editDistance counts letters inserted, deleted, changed, or swapped with their
// neighbour, between two short names.
func editDistance(a, b string) int {
	before := make([]int, len(b)+1) // two rows up, for swaps
	above := make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := above[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(above[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}
