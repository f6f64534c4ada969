package config

import "strings"

// Nearest returns the candidate that word is most likely a misspelling of, or "". Up to a third of the letters may
// differ, at most two. Swapped neighbours count as one difference; case and '-' for '_' are ignored.
func Nearest(word string, candidates []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(fold(word), fold(c)); d < least && 3*d <= max(len(c), 3) {
			best, least = c, d
		}
	}
	return best
}

// didYouMean returns a hint with the nearest candidate, or "".
func didYouMean(word string, candidates []string) string {
	if guess := Nearest(word, candidates); guess != "" {
		return "did you mean " + guess + "?"
	}
	return ""
}

func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance is the optimal string alignment distance of a and b, in bytes.
func distance(a, b string) int {
	var before []int // the row before prev
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
