package bolt

// LaterBuckets are the buckets that Open makes where they are missing.
func LaterBuckets() (names []string) {
	for b := lastOfSchema + 1; b < bucketCount; b++ {
		names = append(names, b.String())
	}
	return names
}
