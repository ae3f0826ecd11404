package seal

import "errors"

// MasterPhase is the phase of a change of the master key.
type MasterPhase string

// The phases of a change of the master key, in their order.
const (
	// PhaseBegin: keys are being wrapped by both. Only the previous key opens the store.
	PhaseBegin MasterPhase = "begin"
	// PhaseBoth: every key is wrapped by both, and either of them opens the store.
	PhaseBoth MasterPhase = "both"
	// PhaseFinish: only the key that stays opens the store. Other keys are being
	// wrapped by it alone.
	PhaseFinish MasterPhase = "finish"
)

// Errors of a change of keys.
var (
	// ErrChangeUnderWay is returned when another change of keys has not ended.
	ErrChangeUnderWay = errors.New("another change of keys is under way")
	// ErrNoChange is returned when no change is under way that the command can continue.
	ErrNoChange = errors.New("no such change of keys is under way")
)

// KeyState says which keys are in force. It holds no secret.
type KeyState struct {
	// Configured is the ID of the master key that the installation was opened with.
	Configured string `json:"master_key"`
	// Generation is the number of the newest ring keys.
	Generation byte `json:"generation"`
	// IsRenewing is set while records of the generation before are accepted.
	IsRenewing bool `json:"renewing,omitempty"`
	// Phase is "" when no change of the master key is under way. The others are its
	// master keys: from, to and, in PhaseFinish, the one that stays.
	Phase MasterPhase `json:"phase,omitempty"`
	FromID  string      `json:"from,omitempty"`
	ToID    string      `json:"to,omitempty"`
	KeepID  string      `json:"-"`
	// RenewAll is set if the other keys are renewed when the change is finished.
	RenewAll bool `json:"renews_all,omitempty"`
}

// RenewPlace is the progress of a renewal. The zero value is both its beginning and its end.
type RenewPlace struct {
	Step  int
	After []byte
}

// IsZero reports whether p is the beginning, or the end.
func (p RenewPlace) IsZero() bool { return p.Step == 0 && p.After == nil }
