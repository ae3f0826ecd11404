package admin

import (
	"context"
	"errors"
	"fmt"

	"vernal/idp"
	"vernal/idp/sp"
)

func (s *Service) ping(context.Context, Caller, Empty) (Pong, error) {
	return Pong{Version: s.Version, Address: s.Address, TLS: s.TLS}, nil
}

func (s *Service) addSP(ctx context.Context, by Caller, req SPChange) (*sp.Change, error) {
	c, err := s.Registry.AddEdit(ctx, req.EntityID, req.document(), req.Edit, req.Options, by.Actor())
	if errors.Is(err, idp.ErrExists) {
		return nil, &Error{Code: CodeExists, Message: "a service provider with this entity ID is registered already",
			Permissions: []sp.Permission{sp.PermitReplace},
			Suggestions: []idp.Suggestion{idp.Suggest(idp.DoSPEdit, string(req.EntityID)).Labeled(idp.LabelChangeRegistered)}}
	}
	return c, err
}

func (s *Service) editSP(ctx context.Context, by Caller, req SPChange) (*sp.Change, error) {
	c, err := s.Registry.ApplyEdit(ctx, req.EntityID, req.document(), req.Edit, req.Options, by.Actor())
	return c, unknownSP(req.EntityID, err)
}

func (c SPChange) document() sp.Document {
	return sp.Document{Data: c.Metadata, Fetched: c.MetadataFetched}
}

func (s *Service) removeSP(ctx context.Context, by Caller, req SPRequest) (Empty, error) {
	return Empty{}, unknownSP(req.EntityID, s.Registry.Remove(ctx, req.EntityID, by.Actor()))
}

func (s *Service) showSP(ctx context.Context, _ Caller, req SPRequest) (*idp.ServiceProvider, error) {
	p, err := s.Registry.Get(ctx, req.EntityID)
	return p, unknownSP(req.EntityID, err)
}

func (s *Service) listSP(ctx context.Context, _ Caller, _ Empty) (SPList, error) {
	list, err := s.Registry.List(ctx)
	if list == nil {
		list = []*idp.ServiceProvider{}
	}
	answer := SPList{SPs: list}
	var tampered *idp.TamperedError
	if errors.As(err, &tampered) {
		answer.Tampered, err = tampered.Providers, nil
	}
	return answer, err
}

// unknownSP says in plain words that a provider is not there.
func unknownSP(id idp.EntityID, err error) error {
	if errors.Is(err, idp.ErrNotFound) {
		return &Error{Code: CodeNotFound, Message: fmt.Sprintf("no service provider is registered as %q", id)}
	}
	return err
}
