package ops

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rekey"
	"vernal/idp/seal"
)

// RekeyBegin begins a change of the master key.
type RekeyBegin struct {
	// NewKey is the new master key, as its file holds it.
	NewKey string `json:"new_key"`
	// All has the other keys renewed when the change is finished.
	All bool `json:"all,omitempty"`
}

// RekeyFinish ends the master key from before.
type RekeyFinish struct {
	// All has the other keys renewed then.
	All bool `json:"all,omitempty"`
}

// RekeyState says which keys are in force and what is under way.
type RekeyState struct {
	// MasterKey is the ID of the master key that is in use. IDs disclose nothing.
	MasterKey string `json:"master_key"`
	// Phase is "begin" while keys are being wrapped by both master keys, "both" while
	// either of them can be used, "finish" while the other one is being ended, and
	// "" when there is one.
	Phase seal.MasterPhase `json:"phase,omitempty"`
	From  string           `json:"from,omitempty"`
	To    string           `json:"to,omitempty"`
	// RenewsAll is set if the other keys are renewed at the end.
	RenewsAll bool `json:"renews_all,omitempty"`
	// Generation counts how often all other keys were made.
	Generation int `json:"generation"`
	// Renewing is set while records are written again with new keys.
	Renewing bool `json:"renewing,omitempty"`
	// Working is set while something of this is being done, Failed is why it stopped.
	Working bool   `json:"working,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

// ShowKeys returns which keys are in use and which change is under way.
var ShowKeys = declare("rekey/state", (*Service).rekeyState)

func (s *Service) rekeyState(ctx context.Context, _ admin.Caller, _ Empty) (RekeyState, error) {
	st, err := s.Rekey.State(ctx)
	if err != nil {
		return RekeyState{}, err
	}
	return RekeyState{
		MasterKey: st.Configured, Phase: st.Phase, From: st.From, To: st.To, RenewsAll: st.RenewAll,
		Generation: int(st.Generation), Renewing: st.Renewing, Working: st.Working, Failed: st.Failed,
	}, nil
}

// BeginRekey begins a change of the master key.
var BeginRekey = declare("rekey/begin", func(s *Service, ctx context.Context, by admin.Caller, req RekeyBegin) (RekeyState, error) {
	to, err := seal.ParseMaster(req.NewKey)
	if err != nil {
		return RekeyState{}, &admin.Error{Code: admin.CodeInvalid, Message: "new master key: " + err.Error()}
	}
	if err := s.Rekey.Begin(ctx, to, req.All, by.Actor()); err != nil {
		return RekeyState{}, rekeyError(err)
	}
	return s.rekeyState(ctx, by, Empty{})
})

// FinishRekey ends the master key from before.
var FinishRekey = declare("rekey/finish", func(s *Service, ctx context.Context, by admin.Caller, req RekeyFinish) (RekeyState, error) {
	if err := s.Rekey.Finish(ctx, req.All, by.Actor()); err != nil {
		return RekeyState{}, rekeyError(err)
	}
	return s.rekeyState(ctx, by, Empty{})
})

// CancelRekey returns to the master key from before.
var CancelRekey = declare("rekey/cancel", func(s *Service, ctx context.Context, by admin.Caller, _ Empty) (RekeyState, error) {
	if err := s.Rekey.Cancel(ctx, by.Actor()); err != nil {
		return RekeyState{}, rekeyError(err)
	}
	return s.rekeyState(ctx, by, Empty{})
})

// RenewKeys makes all keys below the master key new.
var RenewKeys = declare("rekey/all", func(s *Service, ctx context.Context, by admin.Caller, _ Empty) (RekeyState, error) {
	if err := s.Rekey.RenewAll(ctx, by.Actor()); err != nil {
		return RekeyState{}, rekeyError(err)
	}
	return s.rekeyState(ctx, by, Empty{})
})

// rekeyError says how to go on from where a change of keys is.
func rekeyError(err error) error {
	text := ""
	var next []idp.Suggestion
	switch {
	case errors.Is(err, rekey.ErrSameKey):
		text = "the new key file holds the master key that is in use: name a file that does not exist, and a key is made there"
	case errors.Is(err, rekey.ErrOldKey):
		text = "the old master key is still configured: put the new key in its place (for a key in the environment: and restart)"
		next = append(next, idp.Suggest(idp.DoRekey).With(idp.OptionFinish, "").Labeled(idp.LabelRepeat))
	case errors.Is(err, rekey.ErrNewKey):
		text = "the new master key is configured: put the old key back in its place (for a key in the environment: and restart)"
		next = append(next, idp.Suggest(idp.DoRekey).With(idp.OptionCancel, "").Labeled(idp.LabelRepeat))
	case errors.Is(err, seal.ErrChangeUnderWay):
		text = "another change of keys has not ended: finish or cancel it first"
		next = append(next, idp.Suggest(idp.DoRekey).Labeled(idp.LabelShowChange))
	case errors.Is(err, seal.ErrNoChange):
		text = "no change of the master key is under way"
		next = append(next, idp.Suggest(idp.DoRekey).With(idp.OptionBegin, "").With(idp.OptionNewKey, "").Labeled(idp.LabelBeginChange))
	default:
		return err
	}
	return &admin.Error{Code: admin.CodeRefused, Message: text, Suggestions: next}
}
