package server

import "testing"

// A large store must not keep the collector busy, and hashes that were running when the heap
// was measured must not raise the limit.
func TestMemoryLimitFollowsLiveHeap(t *testing.T) {
	t.Parallel()
	const hashes, small, large = 19 << 20, 8 << 20, 300 << 20
	idle, busy := ComputeMemoryLimit(hashes, small), ComputeMemoryLimit(hashes, small+hashes)
	if idle > 96<<20 || busy > 96<<20 {
		t.Errorf("limits with a small store are %d and, while hashes run, %d; want at most 96 MiB", idle, busy)
	}
	if limit := ComputeMemoryLimit(hashes, large); limit < large*3/2+hashes {
		t.Errorf("limit with a live heap of %d is %d", large, limit)
	}
}
