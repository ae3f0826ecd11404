package bolt

import "testing"

// TestEveryBucketHasFateInRestore fails for a new bucket until it is decided what a restore
// does to it.
func TestEveryBucketHasFateInRestore(t *testing.T) {
	t.Parallel()
	for b := range bucketCount {
		if restoreEffects[b] == effectUnknown {
			t.Errorf("decide in fates what a restore does to bucket %v", b)
		}
	}
}
