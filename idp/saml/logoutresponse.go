package saml

import (
	"time"

	"vernal/idp/xmldsig"
)

// LogoutResponse answers a LogoutRequest (saml-core §3.7.2). All fields except Destination and
// InResponseTo are required.
type LogoutResponse struct {
	ID           string // an NCName, never used before
	IssueInstant time.Time
	// Issuer is the entity ID of the identity provider.
	Issuer string
	// Destination is the SP's registered logout URL. It is "" on the back channel, where the
	// answer is the HTTP response.
	Destination string
	// InResponseTo is the ID of the LogoutRequest. It is "" only if the ID could not be read.
	InResponseTo string
	Status       Status
}

// Write appends the samlp:LogoutResponse to dst, which may be nil. It signs with s if that is
// not nil. The guide shows an unsigned one.
func (r *LogoutResponse) Write(dst []byte, s *xmldsig.Signer) ([]byte, error) {
	if err := requireFields("LogoutResponse", "ID", r.ID, "Issuer", r.Issuer, "Status", r.Status.Code); err != nil {
		return nil, err
	}
	if err := checkTime("IssueInstant", r.IssueInstant); err != nil {
		return nil, err
	}
	envelope := Response{ID: r.ID, IssueInstant: r.IssueInstant, Issuer: r.Issuer, Destination: r.Destination, InResponseTo: r.InResponseTo}
	return envelope.writeStatus(dst, "LogoutResponse", r.Status, s)
}

// WriteSOAP does the same as Write inside a SOAP envelope (saml-bindings §3.2.2).
func (r *LogoutResponse) WriteSOAP(dst []byte, s *xmldsig.Signer) ([]byte, error) {
	body, err := r.Write(nil, s)
	if err != nil {
		return nil, err
	}
	dst = append(dst, soapStart...)
	dst = append(dst, body...)
	return append(dst, soapEnd...), nil
}

const (
	soapStart = `<soap:Envelope xmlns:soap="` + NamespaceSOAP + `"><soap:Body>`
	soapEnd   = `</soap:Body></soap:Envelope>`
)
