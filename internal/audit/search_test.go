package audit_test

import (
	"regexp"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

// IDs are in the order of their times, each its own, and fit where IDs go.
func TestNewIDFollowsTime(t *testing.T) {
	form := regexp.MustCompile(`^[a-z2-7]{26}$`)
	seen, last := map[string]bool{}, ""
	for _, at := range []int64{0, 15, 16, 1_700_000_000_000, 1_700_000_000_001, 4_000_000_000_000} {
		first := audit.NewID(time.UnixMilli(at))
		for range 100 {
			id := audit.NewID(time.UnixMilli(at))
			if !form.MatchString(id) || seen[id] || id[:12] != first[:12] {
				t.Fatalf("ID %q at %d", id, at)
			}
			seen[id] = true
		}
		if first < last {
			t.Errorf("%q at %d follows %q", first, at, last)
		}
		last = first
	}
}
