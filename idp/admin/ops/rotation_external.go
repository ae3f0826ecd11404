package ops

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"vernal/certs"
	"vernal/idp"
	"vernal/idp/admin"
	"vernal/idp/discovery"
	"vernal/idp/rotation"
	"vernal/idp/rotator"
	"vernal/templates"
)

// YearRequest names a year.
type YearRequest struct {
	Year idp.Year `json:"year"`
	// DryRun changes nothing. The answer lists the changes that the request would make.
	DryRun bool `json:"dry_run,omitzero"`
}

// CSR is the answer to rotation/csr.
type CSR struct {
	RotationChange
	// Request is the certification request as PEM, or "" in a dry run that would make the key.
	Request string `json:"csr,omitzero"`
	// MadeKey reports that this request made the key. Otherwise the key was waiting already.
	MadeKey bool `json:"made_key"`
	// Certificate is the period that the certificate must cover.
	Certificate rotation.Span `json:"certificate"`
}

// ImportRequest imports an external certificate.
type ImportRequest struct {
	YearRequest
	// Cert is the content of the certificate file, Key that of the private key file. Key is
	// empty if the certificate is for the waiting key. The key is only stored in the sealed
	// folder.
	Cert []byte `json:"cert"`
	Key  []byte `json:"key,omitempty"`
}

// ImportedCertificate is the answer to rotation/import.
type ImportedCertificate struct {
	RotationChange
	// SHA256 is the certificate's fingerprint in hexadecimal digits.
	SHA256   string          `json:"sha256"`
	Warnings []certs.Finding `json:"warnings"`
	// Ignored are the subjects of the other certificates in the file.
	Ignored []string `json:"ignored"`
}

// Export is the answer to rotation/export.
type Export struct {
	Year  idp.Year         `json:"year"`
	Files []discovery.File `json:"files"`
}

// RequestCertificate makes a key that waits for its certificate, and the request for it.
var RequestCertificate = declare("rotation/csr", func(s *Service, ctx context.Context, caller admin.Caller, req YearRequest) (CSR, error) {
	if err := checkYear(req.Year); err != nil {
		return CSR{}, err
	}
	request, err := s.Rotation.MakeRequest(ctx, req.Year, caller.Actor(), req.DryRun)
	if err != nil {
		return CSR{}, convertStepError(err)
	}
	answer := CSR{MadeKey: request.IsNewKey, Certificate: request.Span}
	if request.DER != nil {
		answer.Request = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request.DER}))
	}
	answer.RotationChange, err = s.describeRotationChange(ctx, request.Outcome)
	return answer, err
})

// ImportCertificate imports a certificate of an external CA.
var ImportCertificate = declare("rotation/import", func(s *Service, ctx context.Context, caller admin.Caller, req ImportRequest) (ImportedCertificate, error) {
	input, err := req.parse()
	if err != nil {
		return ImportedCertificate{}, err
	}
	result, err := s.Rotation.Import(ctx, req.Year, input, caller.Actor(), req.DryRun)
	if err != nil {
		return ImportedCertificate{}, convertStepError(err)
	}
	answer := ImportedCertificate{SHA256: certs.CertSHA256(result.Cert), Warnings: copyList(result.Warnings), Ignored: []string{}}
	for _, c := range result.IgnoredCerts {
		answer.Ignored = append(answer.Ignored, nameCertificate(c))
	}
	answer.RotationChange, err = s.describeRotationChange(ctx, result.Outcome)
	return answer, err
})

// ExportYear makes the files that prove a year out of band.
var ExportYear = declare("rotation/export", func(s *Service, ctx context.Context, caller admin.Caller, req YearRequest) (Export, error) {
	if err := checkYear(req.Year); err != nil {
		return Export{}, err
	}
	if err := s.Rotation.RecordExport(ctx, req.Year, caller.Actor()); err != nil {
		return Export{}, convertStepError(err)
	}
	files, err := s.newDiscoveryHandler().Export(req.Year)
	return Export{Year: req.Year, Files: files}, err
})

// parse reads external files. Its errors never quote them: they may contain a private key.
func (r ImportRequest) parse() (input rotator.Import, err error) {
	if err := checkYear(r.Year); err != nil {
		return input, err
	}
	if input.Chain, err = certs.ParseCertificates(r.Cert); err != nil {
		return input, &admin.Error{Code: admin.CodeInvalid, Message: "read the file with the certificate: " + err.Error()}
	}
	if len(r.Key) == 0 {
		return input, nil
	}
	var signer crypto.Signer
	if signer, err = certs.ParsePrivateKey(r.Key); err != nil {
		return input, &admin.Error{Code: admin.CodeInvalid, Message: "read the file with the private key: " + err.Error()}
	}
	input.Signer = signer
	return input, nil
}

// nameCertificate returns the subject of a certificate, or its serial number if it has none.
func nameCertificate(c *x509.Certificate) string {
	if subject := c.Subject.String(); subject != "" {
		return subject
	}
	return "serial number " + c.SerialNumber.Text(16)
}

// convertStepError converts a refusal to an Error with suggestions.
func convertStepError(err error) error {
	var refusedErr *rotation.RefusedError
	var importErr *certs.ImportError
	switch {
	case errors.As(err, &importErr):
		return &admin.Error{Code: admin.CodeRefused, Message: importErr.Error()}
	case errors.As(err, &refusedErr):
		return renderRefusal(refusedErr)
	}
	return err
}

// renderRefusal renders a refusal of the rotation.
func renderRefusal(refusedErr *rotation.RefusedError) *admin.Error {
	phrases := templates.TerminalPhrases()
	reason := refusedErr.Reason
	reason.Text = phrases.Reason(reason)
	return &admin.Error{Code: admin.CodeRefused, Message: phrases.Refusal(refusedErr), Users: reason.Args.SPs, Reason: &reason, Suggestions: refusedErr.Suggestions}
}

// describeRotationChange describes the outcome of a step for operators.
func (s *Service) describeRotationChange(ctx context.Context, outcome *rotator.Outcome) (c RotationChange, err error) {
	c = RotationChange{DryRun: outcome.DryRun, Steps: copyList(outcome.Steps), CutOff: outcome.CutOffSPs}
	templates.TerminalPhrases().FillSteps(c.Steps)
	c.Changed, c.Unchanged = compareStatus(outcome.Before, outcome.After)
	board, err := s.Board.Board(ctx)
	if err != nil {
		return c, err
	}
	after := outcome.After
	if !outcome.DryRun {
		if after, err = s.Rotation.Status(ctx, board.CountUnmoved()); err != nil {
			return c, err
		}
	}
	c.Status = describeStatus(after, board, s.Rotation.Policy)
	return c, nil
}
