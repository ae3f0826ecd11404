package account

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// cost is the cost of computing a hash, apart from the password. Its JSON is part of a
// document; see works.
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

// covers reports whether a hash of the work costs no less than one of the other, on any
// machine.
func (w hashCost) covers(o hashCost) bool {
	return w.Algorithm == o.Algorithm && w.Memory >= o.Memory && w.Time >= o.Time && w.Threads <= o.Threads && w.Iterations >= o.Iterations
}

// compare orders works by their approximate time, the longest first: PBKDF2, of which a list
// holds one, and then argon2id by the memory that each thread processes.
func (w hashCost) compare(o hashCost) int {
	each := func(w hashCost) int { return int(w.Memory) * int(w.Time) / max(1, int(w.Threads)) }
	return cmp.Or(-cmp.Compare(w.Iterations, o.Iterations), -cmp.Compare(each(w), each(o)),
		-cmp.Compare(w.Memory, o.Memory), -cmp.Compare(w.Time, o.Time))
}

// Effort is the cost of one comparison. The zero Effort belongs to a password too long to be
// compared.
type Effort struct {
	cost hashCost
	duration time.Duration
}

const (
	// calibrationIterations is the number of measured iterations of PBKDF2. Its time is proportional
	// to them.
	calibrationIterations = 50_000
	// calibrationRuns is how often a work is measured. The fastest run counts.
	calibrationRuns = 2
	// slack is the factor by which every "no" takes longer than that, so that the small
	// differences between two runs of a hash do not show.
	slack = 2
	// minMeasurable is the shortest hash that shows how busy the machine is. Shorter hashes
	// mostly measure the scheduler.
	minMeasurable = 10 * time.Millisecond
	// maxLevel limits how busy a machine is assumed to be.
	maxLevel = 4
	// levelDuration is how long the machine is assumed to stay as busy as measured.
	levelDuration = time.Minute
)

// pace makes every "no" take equally long, and longer than the most expensive hash in use. The
// time of an answer would otherwise disclose which email addresses have an account, and which
// users were imported with hashes of another cost.
//
// A timer adds the time that a hash lacks, without a slot or a turn, so that waiting delays no
// other attempt. A sender can slow the machine down with other requests until the most
// expensive hash takes longer than a "no". A hash that takes longer than expected therefore
// raises the time of every "no", in steps of two, for a minute.
//
// One trace remains: a more expensive hash keeps its slot for longer. A sender who fills all
// slots can see that in the answers to other attempts.
type pace struct {
	mu sync.Mutex
	// idleTimes is the time of each work on this machine without other load.
	idleTimes    map[hashCost]time.Duration
	longestTime time.Duration // the longest time in idle
	// level is the current slowdown of hashes as a factor, valid until heldTo.
	level  time.Duration
	levelExpiresAt time.Time
}

// isMeasured reports whether the time of the work was measured.
func (p *pace) isMeasured(w hashCost) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.idleTimes[w]
	return ok
}

// coversCost reports whether a "no" takes long enough for the work.
func (p *pace) coversCost(w hashCost) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for o := range p.idleTimes {
		if o.covers(w) {
			return true
		}
	}
	return false
}

func (p *pace) recordTime(w hashCost, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idleTimes == nil {
		p.idleTimes = make(map[hashCost]time.Duration)
	}
	if _, ok := p.idleTimes[w]; !ok { // false if another attempt was faster
		p.idleTimes[w] = took
		p.longestTime = max(p.longestTime, took)
	}
}

// computeDelay returns how much longer a "no" must take after the effort.
func (p *pace) computeDelay(spent Effort) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.levelExpiresAt.After(now) {
		p.level = 1
	}
	if idle := p.idleTimes[spent.cost]; idle >= minMeasurable {
		level := time.Duration(1)
		for level < maxLevel && spent.duration > slack*level*idle {
			level *= 2
		}
		if level > 1 && level >= p.level {
			p.level, p.levelExpiresAt = level, now.Add(levelDuration)
		}
	}
	return slack*p.level*p.longestTime - spent.duration
}

// calibrate measures how long hashes of the current cost, and of the works, take on this
// machine, unless that is already known.
func (h *Hasher) calibrate(ctx context.Context, works ...hashCost) error {
	for _, w := range append(works, h.newParams().computeCost()) {
		if h.pace.isMeasured(w) || !w.isValid() && w != h.newParams().computeCost() {
			continue
		}
		took, err := h.measureIdle(ctx, w)
		if err != nil {
			return err
		}
		h.pace.recordTime(w, took)
	}
	return nil
}

func (h *Hasher) measureIdle(ctx context.Context, w hashCost) (best time.Duration, err error) {
	p := phc{alg: w.Algorithm, memory: w.Memory, time: w.Time, threads: w.Threads, iterations: min(calibrationIterations, w.Iterations), salt: make([]byte, saltSize)}
	for i := range calibrationRuns {
		_, spent, err := h.deriveKey(ctx, p, "calibration")
		if err != nil {
			return 0, err
		}
		if i == 0 || spent.duration < best {
			best = spent.duration
		}
	}
	if w.Algorithm == algPBKDF2 {
		best = best * time.Duration(w.Iterations) / time.Duration(p.iterations)
	}
	return best, nil
}

// Delay waits until a "no" after the effort has taken as long as every other "no", or until
// ctx is done.
func (h *Hasher) Delay(ctx context.Context, spent Effort) {
	if err := h.calibrate(ctx); err != nil {
		return // the client has gone
	}
	wait := time.NewTimer(h.pace.computeDelay(spent))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// PeakMemory returns the bytes that hashes of the most expensive work in use take at once: one
// in each slot.
func (h *Hasher) PeakMemory() int64 {
	h.pace.mu.Lock()
	defer h.pace.mu.Unlock()
	most := h.newParams().memory
	for w := range h.pace.idleTimes {
		most = max(most, w.Memory)
	}
	return int64(most) * 1024 * int64(cap(h.slots))
}
