//go:build !race

package scale_test

// How much there is in the large store.
const (
	manyParties = 100_000
	manyEntries = 1_000_000
)
