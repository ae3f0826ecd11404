package account

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// hashCost is the cost of computing a hash, independent of the password. Its JSON is stored
// under costsKey.
type hashCost struct {
	Algorithm string `json:"algorithm"`
	// Memory in KiB, Time in passes, Threads: argon2id.
	Memory  uint32 `json:"memory,omitempty"`
	Time    uint32 `json:"time,omitempty"`
	Threads uint8  `json:"threads,omitempty"`
	// Iterations of PBKDF2, over all blocks of the key.
	Iterations int `json:"iterations,omitempty"`
}

// isValid reports whether parsePHC accepts hashes of this cost.
func (w hashCost) isValid() bool {
	switch w.Algorithm {
	case algArgon2id:
		return w.Memory >= minMemory && w.Memory <= maxMemory && w.Time >= 1 && w.Time <= maxTime &&
			int(w.Memory)*int(w.Time) <= maxMemoryTime && w.Threads >= 1 && w.Threads <= maxThreads
	case algPBKDF2:
		return w.Iterations >= minIterations && w.Iterations <= maxIterations*maxKey/keySize
	}
	return false
}

// covers reports whether a hash of this cost takes no less time than one of the other, on any
// machine.
func (w hashCost) covers(other hashCost) bool {
	return w.Algorithm == other.Algorithm && w.Memory >= other.Memory && w.Time >= other.Time && w.Threads <= other.Threads && w.Iterations >= other.Iterations
}

// compare orders costs by their approximate time, the longest first: PBKDF2, which is at most
// once in a list, and then argon2id by the memory that each thread processes.
func (w hashCost) compare(other hashCost) int {
	memoryPerThread := func(w hashCost) int { return int(w.Memory) * int(w.Time) / max(1, int(w.Threads)) }
	return cmp.Or(-cmp.Compare(w.Iterations, other.Iterations), -cmp.Compare(memoryPerThread(w), memoryPerThread(other)),
		-cmp.Compare(w.Memory, other.Memory), -cmp.Compare(w.Time, other.Time))
}

// Effort is the cost of one comparison. It is zero for a password too long to be compared.
type Effort struct {
	cost     hashCost
	duration time.Duration
}

const (
	// calibrationIterations is the number of measured iterations of PBKDF2. Its time is
	// proportional to them.
	calibrationIterations = 50_000
	// calibrationRuns is how often a cost is measured. The fastest run counts.
	calibrationRuns = 2
	// slack is the factor by which every refusal takes longer than the slowest hash, so that
	// small differences between two runs of a hash are not visible.
	slack = 2
	// minMeasurable is the shortest hash that shows how busy the machine is. Shorter hashes
	// mostly measure the scheduler.
	minMeasurable = 10 * time.Millisecond
	// maxLevel limits how busy a machine is assumed to be.
	maxLevel = 4
	// levelDuration is how long the machine is assumed to stay as busy as measured.
	levelDuration = time.Minute
)

// pace makes every refusal of a wrong password take equally long, and longer than the most
// expensive hash in use. The time of an answer would otherwise disclose which email addresses
// have an account, and which users were imported with hashes of another cost.
//
// After its hash, an attempt waits on a timer without a slot or a permit, so that it delays no
// other attempt. A sender can slow the machine down with other requests until the most
// expensive hash takes longer than a refusal. A hash that takes longer than expected therefore
// doubles the time of every refusal for a minute, or quadruples it.
//
// One difference remains: a more expensive hash keeps its slot for longer. A sender who fills
// all slots can see that in the answers to other attempts.
type pace struct {
	mu sync.Mutex
	// idleTimes are the times of each cost on this machine without other load.
	idleTimes   map[hashCost]time.Duration
	longestTime time.Duration // the longest of idleTimes
	// level is the current slowdown of hashes as a factor, valid until levelExpiresAt.
	level          time.Duration
	levelExpiresAt time.Time
}

// isMeasured reports whether the time of the cost was measured.
func (p *pace) isMeasured(w hashCost) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.idleTimes[w]
	return ok
}

// coversCost reports whether a refusal takes long enough for a hash of the cost.
func (p *pace) coversCost(w hashCost) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.idleTimes {
		if other.covers(w) {
			return true
		}
	}
	return false
}

func (p *pace) recordTime(w hashCost, duration time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idleTimes == nil {
		p.idleTimes = make(map[hashCost]time.Duration)
	}
	if _, ok := p.idleTimes[w]; !ok { // false if another attempt was faster
		p.idleTimes[w] = duration
		p.longestTime = max(p.longestTime, duration)
	}
}

// computeDelay returns how much longer a refusal must take after the effort.
func (p *pace) computeDelay(effort Effort) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.levelExpiresAt.After(now) {
		p.level = 1
	}
	if idleTime := p.idleTimes[effort.cost]; idleTime >= minMeasurable {
		level := time.Duration(1)
		for level < maxLevel && effort.duration > slack*level*idleTime {
			level *= 2
		}
		if level > 1 && level >= p.level {
			p.level, p.levelExpiresAt = level, now.Add(levelDuration)
		}
	}
	return slack*p.level*p.longestTime - effort.duration
}

// calibrate measures how long hashes of the current cost and of the other costs take on this
// machine. It skips costs that were measured before.
func (h *Hasher) calibrate(ctx context.Context, costs ...hashCost) error {
	for _, w := range append(costs, h.newParams().computeCost()) {
		if h.pace.isMeasured(w) || !w.isValid() && w != h.newParams().computeCost() {
			continue
		}
		duration, err := h.measureIdle(ctx, w)
		if err != nil {
			return err
		}
		h.pace.recordTime(w, duration)
	}
	return nil
}

func (h *Hasher) measureIdle(ctx context.Context, w hashCost) (fastest time.Duration, err error) {
	p := phc{alg: w.Algorithm, memory: w.Memory, time: w.Time, threads: w.Threads, iterations: min(calibrationIterations, w.Iterations), salt: make([]byte, saltSize)}
	for i := range calibrationRuns {
		_, effort, err := h.deriveKey(ctx, p, "calibration")
		if err != nil {
			return 0, err
		}
		if i == 0 || effort.duration < fastest {
			fastest = effort.duration
		}
	}
	if w.Algorithm == algPBKDF2 {
		fastest = fastest * time.Duration(w.Iterations) / time.Duration(p.iterations)
	}
	return fastest, nil
}

// Delay waits until the refusal of an attempt has taken as long as every other refusal, or until
// ctx is done.
func (h *Hasher) Delay(ctx context.Context, effort Effort) {
	if err := h.calibrate(ctx); err != nil {
		return // the client has gone
	}
	timer := time.NewTimer(h.pace.computeDelay(effort))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// PeakMemory returns the bytes that hashes use when the most expensive one runs in every slot.
func (h *Hasher) PeakMemory() int64 {
	h.pace.mu.Lock()
	defer h.pace.mu.Unlock()
	memory := h.newParams().memory
	for w := range h.pace.idleTimes {
		memory = max(memory, w.Memory)
	}
	return int64(memory) * 1024 * int64(cap(h.slots))
}
