package seal

import "errors"

// MasterPhase is the phase of a change of the master key.
type MasterPhase string

// The phases of a change of the master key, in their order.
const (
	// PhaseBegin means that keys are being wrapped by both master keys. Only the previous
	// master key opens the store.
	PhaseBegin MasterPhase = "begin"
	// PhaseBoth means that every key is wrapped by both, and either of them opens the store.
	PhaseBoth MasterPhase = "both"
	// PhaseFinish means that keys are being wrapped by one master key alone, which is the only
	// one that opens the store.
	PhaseFinish MasterPhase = "finish"
)

// Errors of a change of keys.
var (
	// ErrChangeUnderWay is returned when another change of keys has not ended.
	ErrChangeUnderWay = errors.New("another change of keys is in progress, retry when it has ended")
	// ErrNoChange is returned when no change is in progress that the command can continue.
	ErrNoChange = errors.New("no change of keys is in progress that this command can continue")
)

// KeyState describes the keys in force. It contains no secret.
type KeyState struct {
	// Configured is the ID of the master key that the installation was opened with.
	Configured string `json:"master_key"`
	// Generation is the number of the newest ring keys.
	Generation byte `json:"generation"`
	// IsRenewing is true while records of the previous generation are accepted.
	IsRenewing bool `json:"renewing,omitempty"`
	// Phase is "" if no change of the master key is in progress. Otherwise FromID and ToID are
	// the IDs of its master keys. In PhaseFinish, KeepID is the ID of the one that stays.
	Phase  MasterPhase `json:"phase,omitempty"`
	FromID string      `json:"from,omitempty"`
	ToID   string      `json:"to,omitempty"`
	KeepID string      `json:"-"`
	// RenewAll is true if the other keys are renewed when the change is finished.
	RenewAll bool `json:"renews_all,omitempty"`
}

// RenewPlace is the progress of a renewal. The zero value is both its beginning and its end.
type RenewPlace struct {
	Step  int
	After []byte
}

// IsZero reports whether p is the beginning or the end.
func (p RenewPlace) IsZero() bool { return p.Step == 0 && p.After == nil }
