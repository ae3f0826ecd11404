package ops

import (
	"context"
	"errors"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/sp"
)

// SPRequest names a service provider.
type SPRequest struct {
	EntityID idp.EntityID `json:"entity_id"`
}

// RemovedSP is the answer to RemoveSP.
type RemovedSP struct {
	EntityID idp.EntityID `json:"removed"`
}

// SPChange adds or edits a service provider. The answer is an sp.Change.
type SPChange struct {
	// EntityID may be empty when adding from metadata, which names it.
	EntityID idp.EntityID `json:"entity_id,omitempty"`
	// Metadata is an EntityDescriptor to read values from first; null for none. MetadataFetched
	// is set if it comes from a URL and not from a file.
	Metadata        []byte `json:"metadata"`
	MetadataFetched bool   `json:"metadata_fetched,omitempty"`
	// Edit is applied after Metadata.
	Edit    sp.Edit    `json:"edit"`
	Options sp.Options `json:"options"`
}

// SPList is the answer to sp/list, sorted by EntityID.
type SPList struct {
	SPs []*idp.ServiceProvider `json:"sps"`
	// Tampered are registrations that are not authentic and cannot be used.
	Tampered []idp.EntityID `json:"tampered,omitempty"`
}

// AddSP registers a service provider.
var AddSP = declare("sp/add", func(s *Service, ctx context.Context, caller admin.Caller, req SPChange) (*sp.Change, error) {
	c, err := s.Registry.AddEdit(ctx, req.EntityID, req.document(), req.Edit, req.Options, caller.Actor())
	if errors.Is(err, idp.ErrExists) {
		return nil, &admin.Error{Code: admin.CodeExists, Message: "a service provider with this entity ID is registered already",
			Permissions: []sp.Permission{sp.PermitReplace},
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoSPEdit, string(req.EntityID)).WithLabel(idp.LabelChangeRegistered)}}
	}
	return c, err
})

// EditSP changes a registration.
var EditSP = declare("sp/edit", func(s *Service, ctx context.Context, caller admin.Caller, req SPChange) (*sp.Change, error) {
	c, err := s.Registry.ApplyEdit(ctx, req.EntityID, req.document(), req.Edit, req.Options, caller.Actor())
	return c, explainUnknownSP(req.EntityID, err)
})

func (c SPChange) document() sp.Document {
	return sp.Document{Data: c.Metadata, Fetched: c.MetadataFetched}
}

// RemoveSP removes a registration.
var RemoveSP = declare("sp/remove", func(s *Service, ctx context.Context, caller admin.Caller, req SPRequest) (RemovedSP, error) {
	return RemovedSP(req), explainUnknownSP(req.EntityID, s.Registry.Remove(ctx, req.EntityID, caller.Actor()))
})

// ShowSP returns one registration.
var ShowSP = declare("sp/show", func(s *Service, ctx context.Context, _ admin.Caller, req SPRequest) (*idp.ServiceProvider, error) {
	p, err := s.Registry.Get(ctx, req.EntityID)
	return p, explainUnknownSP(req.EntityID, err)
})

// ListSPs returns all registrations.
var ListSPs = declare("sp/list", func(s *Service, ctx context.Context, _ admin.Caller, _ Empty) (SPList, error) {
	list, err := s.Registry.List(ctx)
	if list == nil {
		list = []*idp.ServiceProvider{}
	}
	answer := SPList{SPs: list}
	var tamperedErr *idp.TamperedError
	if errors.As(err, &tamperedErr) {
		answer.Tampered, err = tamperedErr.Providers, nil
	}
	return answer, err
})

// explainUnknownSP returns the error for a service provider that is not registered.
func explainUnknownSP(id idp.EntityID, err error) error {
	if errors.Is(err, idp.ErrNotFound) {
		return newNotFoundError("no service provider is registered as %q", id)
	}
	return err
}
