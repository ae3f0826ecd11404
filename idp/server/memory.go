package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// GCPercent suits a server with a live heap of a few megabytes that allocates about 40 kB with
// every sign-in: the collector runs a quarter as often as by default. LimitMemory keeps that
// from costing more than some tens of megabytes. GOGC in the environment overrides it.
const GCPercent = 400

const (
	// memoryBase is the memory that a server needs beyond its live heap and its password
	// hashes.
	memoryBase = 32 << 20
	// memoryInterval is the interval at which the limit follows the live heap.
	memoryInterval = 5 * time.Second
)

// liveHeapMetric is the metric with the bytes that the last collection found in use.
const liveHeapMetric = "/gc/heap/live:bytes"

// LimitMemory keeps the soft memory limit of the process at that of ComputeMemoryLimit until ctx ends. hashBytes
// returns the bytes that password hashes take at once; see account.Hasher.PeakMemory.
func LimitMemory(ctx context.Context, hashBytes func() int64) {
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: liveHeapMetric}}
	for {
		metrics.Read(sample)
		debug.SetMemoryLimit(ComputeMemoryLimit(hashBytes(), int64(sample[0].Value.Uint64())))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ComputeMemoryLimit returns the soft memory limit of a server. hashBytes are the bytes that password hashes
// take at once. heapBytes is the size of the live heap when the collector last ran, with or without
// hashes. GCPercent alone would let four times as much garbage accumulate behind each hash. The
// limit leaves room for twice the hashes, one in use and one that waits for the collector, and for
// as much garbage as the live heap has without hashes, so that a large store does not keep the collector
// busy.
func ComputeMemoryLimit(hashBytes, heapBytes int64) int64 {
	return memoryBase + 2*hashBytes + 2*max(0, heapBytes-hashBytes)
}
