//go:build race

package scale_test

// The race detector makes SQLite, which is Go here, some ten times as slow. What
// it looks for does not depend on how much there is.
const (
	manyParties = 10_000
	manyEntries = 50_000
)
