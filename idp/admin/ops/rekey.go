package ops

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/rekey"
	"vernal/idp/seal"
)

// RekeyBeginRequest begins a change of the master key.
type RekeyBeginRequest struct {
	// NewKey is the new master key, as its file holds it.
	NewKey string `json:"new_key"`
	// All requests that finishing the change also renews the other keys.
	All bool `json:"all,omitempty"`
}

// RekeyFinishRequest ends the previous master key.
type RekeyFinishRequest struct {
	// All requests that the other keys are renewed too.
	All bool `json:"all,omitempty"`
}

// ShowKeys returns the keys in use and the change in progress.
var ShowKeys = declare("rekey/state", func(s *Service, ctx context.Context, _ admin.Caller, _ Empty) (rekey.State, error) {
	return s.Rekey.State(ctx)
})

// BeginRekey begins a change of the master key.
var BeginRekey = declare("rekey/begin", func(s *Service, ctx context.Context, by admin.Caller, req RekeyBeginRequest) (rekey.State, error) {
	to, err := seal.ParseMaster(req.NewKey)
	if err != nil {
		return rekey.State{}, &admin.Error{Code: admin.CodeInvalid, Message: "new master key: " + err.Error()}
	}
	return s.reportKeys(ctx, s.Rekey.Begin(ctx, to, req.All, by.Actor()))
})

// FinishRekey ends the previous master key.
var FinishRekey = declare("rekey/finish", func(s *Service, ctx context.Context, by admin.Caller, req RekeyFinishRequest) (rekey.State, error) {
	return s.reportKeys(ctx, s.Rekey.Finish(ctx, req.All, by.Actor()))
})

// CancelRekey returns to the previous master key.
var CancelRekey = declare("rekey/cancel", func(s *Service, ctx context.Context, by admin.Caller, _ Empty) (rekey.State, error) {
	return s.reportKeys(ctx, s.Rekey.Cancel(ctx, by.Actor()))
})

// RenewKeys renews all keys below the master key.
var RenewKeys = declare("rekey/all", func(s *Service, ctx context.Context, by admin.Caller, _ Empty) (rekey.State, error) {
	return s.reportKeys(ctx, s.Rekey.RenewAll(ctx, by.Actor()))
})

// reportKeys returns the answer to a step of a change that ended with err.
func (s *Service) reportKeys(ctx context.Context, err error) (rekey.State, error) {
	if err != nil {
		return rekey.State{}, rekeyError(err)
	}
	return s.Rekey.State(ctx)
}

// rekeyError adds the next step to an error of a change of keys.
func rekeyError(err error) error {
	again := idp.Suggest(idp.DoRekey)
	switch {
	case errors.Is(err, rekey.ErrSameKey):
		return &admin.Error{Code: admin.CodeRefused, Message: "the new key file holds the master key that is in use: name a file that does not exist, and a key is made there"}
	case errors.Is(err, rekey.ErrOldKey):
		return refuse(again.WithOption(idp.OptionFinish, "").WithLabel(idp.LabelRepeat),
			"the old master key is still configured: put the new key in its place (for a key in the environment: and restart)")
	case errors.Is(err, rekey.ErrNewKey):
		return refuse(again.WithOption(idp.OptionCancel, "").WithLabel(idp.LabelRepeat),
			"the new master key is configured: put the old key back in its place (for a key in the environment: and restart)")
	case errors.Is(err, seal.ErrChangeUnderWay):
		return refuse(again.WithLabel(idp.LabelShowChange), "another change of keys has not ended: finish or cancel it first")
	case errors.Is(err, seal.ErrNoChange):
		return refuse(again.WithOption(idp.OptionBegin, "").WithOption(idp.OptionNewKey, "").WithLabel(idp.LabelBeginChange), "no change of the master key is under way")
	}
	return err
}
