package bolt

// GuardedBuckets are the buckets whose values have a MAC.
func GuardedBuckets() (names []string) {
	for b := range bucketCount {
		if b.guarded() {
			names = append(names, b.String())
		}
	}
	return names
}
