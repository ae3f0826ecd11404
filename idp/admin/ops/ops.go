// Package ops declares every operation that a command can ask for, one file per noun. An
// operation is one value: its path, request, answer and function (admin.Op).
//
// Answers are the domain's own JSON views. A type of this package exists only where a
// secret is left out or several services answer together. Advice is given as values
// (idp.Suggestion): the package prints nothing and knows no flags.
package ops

import (
	"context"
	"fmt"
	"io"

	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/discovery"
	"vernal/idp/doctor"
	"vernal/idp/installation"
	"vernal/idp/yearaccess"
)

// Service answers the operations.
type Service struct {
	*installation.Installation
	// MailErr is the reason why mail cannot be sent as configured; nil if it can, or is not
	// configured.
	MailErr error
	// AdminURL is the base of the secret URLs of the admin listener; "" if that is not
	// configured.
	AdminURL string
	Version  string
	// Doctor checks the installation; optional.
	Doctor *doctor.Service
	// Address is the host and port on which the server listens, "" while none runs. TLS is set
	// if the server uses https.
	Address string
	TLS     bool
}

// newDiscoveryHandler returns the handler that makes the metadata of years, and the files that
// prove a year out of band.
func (s *Service) newDiscoveryHandler() *discovery.Handler {
	return &discovery.Handler{
		IdP: s.IdP, Years: s.Years, Access: &yearaccess.Gate{Years: s.Years, Clock: s.Clock}, Clock: s.Clock,
	}
}

// Op is an operation of Service.
type Op[Req, Res any] = admin.Op[*Service, Req, Res]

// operations are the declared operations.
var operations []admin.Route[*Service]

// declare makes an operation from a function. Every operation is declared once, as a
// variable.
func declare[Req, Res any](path string, do func(*Service, context.Context, admin.Caller, Req) (Res, error)) Op[Req, Res] {
	op := Op[Req, Res]{Path: path, Do: do}
	operations = append(operations, op)
	return op
}

// declareStream makes an operation that returns data from a function, as declare does.
func declareStream[Req, Res any](path string, do func(*Service, context.Context, admin.Caller, Req, io.Writer) (Res, error)) admin.Stream[*Service, Req, Res] {
	op := admin.Stream[*Service, Req, Res]{Path: path, Do: do}
	operations = append(operations, op)
	return op
}

// All returns every operation.
func All() []admin.Route[*Service] { return operations }

// Endpoint answers the operations of s for the owner of the data folder.
func (s *Service) Endpoint(owner int) *admin.Endpoint {
	return admin.NewEndpoint(s, owner, s.Log, operations...)
}

// Empty is a request or an answer without content.
type Empty struct{}

// Pong is the answer to Ping.
type Pong struct {
	Version string `json:"version"`
	// Address is the host and port on which the server listens, "" while none runs.
	Address string `json:"address,omitempty"`
	// TLS is set if the server uses https there, and not plain http behind a proxy.
	TLS bool `json:"tls,omitempty"`
}

// Ping asks whether a server answers.
var Ping = declare("ping", func(s *Service, _ context.Context, _ admin.Caller, _ Empty) (Pong, error) {
	return Pong{Version: s.Version, Address: s.Address, TLS: s.TLS}, nil
})

// copyList returns a copy of s that is never nil, because JSON must show an empty list, not
// null.
func copyList[T any](s []T) []T { return append([]T{}, s...) }

// refuse returns a refusal with a suggestion.
func refuse(suggestion idp.Suggestion, format string, args ...any) *admin.Error {
	return &admin.Error{Code: admin.CodeRefused, Message: fmt.Sprintf(format, args...), Suggestions: []idp.Suggestion{suggestion}}
}

// invalidError refuses a request that no state of the installation would make valid.
func invalidError(format string, args ...any) *admin.Error {
	return &admin.Error{Code: admin.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

// newNotFoundError refuses a request for an object that does not exist.
func newNotFoundError(format string, args ...any) *admin.Error {
	return &admin.Error{Code: admin.CodeNotFound, Message: fmt.Sprintf(format, args...)}
}

func checkYear(y idp.Year) error {
	if !y.IsValid() {
		return invalidError("%q is not a year, such as 2027 or 2027b", y)
	}
	return nil
}
