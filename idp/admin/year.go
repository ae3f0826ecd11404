package admin

import (
	"context"
	"fmt"
	"vernal/certs"
)

func (s *Service) showMetadata(ctx context.Context, _ Caller, req MetadataRequest) (Document, error) {
	if req.Year != "" && !req.Year.Valid() {
		return Document{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("%q is not a year, such as 2027 or 2027b", req.Year)}
	}
	doc, err := s.Metadata(ctx, req.Year)
	if err != nil {
		return Document{}, err
	}
	return Document{Year: req.Year, Document: string(doc)}, nil
}

func (s *Service) listYears(context.Context, Caller, Empty) (YearList, error) {
	list := YearList{Years: []Year{}}
	for _, e := range s.Ring.All(s.Clock.Now()) {
		y := Year{Year: e.Key.Year, State: string(e.State)}
		if cert := e.Key.Cert; cert != nil {
			y.NotBefore, y.NotAfter, y.SHA256 = cert.NotBefore.UTC(), cert.NotAfter.UTC(), certs.CertSHA256(cert)
		}
		list.Years = append(list.Years, y)
	}
	return list, nil
}
