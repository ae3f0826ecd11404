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
	// MadeKey reports that the key was made now and was not waiting already.
	MadeKey bool `json:"made_key"`
	// Certificate is the period that the certificate must cover.
	Certificate rotation.Span `json:"certificate"`
}

// ImportRequest brings an external certificate.
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
var RequestCertificate = declare("rotation/csr", func(s *Service, ctx context.Context, by admin.Caller, req YearRequest) (CSR, error) {
	if err := checkYear(req.Year); err != nil {
		return CSR{}, err
	}
	r, err := s.Rotation.MakeRequest(ctx, req.Year, by.Actor(), req.DryRun)
	if err != nil {
		return CSR{}, stepError(err)
	}
	answer := CSR{MadeKey: r.IsNewKey, Certificate: r.Span}
	if r.DER != nil {
		answer.Request = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.DER}))
	}
	answer.RotationChange, err = s.describeRotationChange(ctx, r.Outcome)
	return answer, err
})

// ImportCertificate imports a certificate of an external CA.
var ImportCertificate = declare("rotation/import", func(s *Service, ctx context.Context, by admin.Caller, req ImportRequest) (ImportedCertificate, error) {
	in, err := req.parse()
	if err != nil {
		return ImportedCertificate{}, err
	}
	i, err := s.Rotation.Import(ctx, req.Year, in, by.Actor(), req.DryRun)
	if err != nil {
		return ImportedCertificate{}, stepError(err)
	}
	answer := ImportedCertificate{SHA256: certs.CertSHA256(i.Cert), Warnings: copyList(i.Warnings), Ignored: []string{}}
	for _, c := range i.IgnoredCerts {
		answer.Ignored = append(answer.Ignored, nameCertificate(c))
	}
	answer.RotationChange, err = s.describeRotationChange(ctx, i.Outcome)
	return answer, err
})

// ExportYear makes the files that prove a year out of band.
var ExportYear = declare("rotation/export", func(s *Service, ctx context.Context, by admin.Caller, req YearRequest) (Export, error) {
	if err := checkYear(req.Year); err != nil {
		return Export{}, err
	}
	if err := s.Rotation.RecordExport(ctx, req.Year, by.Actor()); err != nil {
		return Export{}, stepError(err)
	}
	files, err := s.newDiscoveryHandler().Export(req.Year)
	return Export{Year: req.Year, Files: files}, err
})

// parse reads external files. Its errors never quote them: they may hold a private key.
func (r ImportRequest) parse() (in rotator.Import, err error) {
	if err := checkYear(r.Year); err != nil {
		return in, err
	}
	if in.Chain, err = certs.ParseCertificates(r.Cert); err != nil {
		return in, &admin.Error{Code: admin.CodeInvalid, Message: "the file with the certificate: " + err.Error()}
	}
	if len(r.Key) == 0 {
		return in, nil
	}
	var signer crypto.Signer
	if signer, err = certs.ParsePrivateKey(r.Key); err != nil {
		return in, &admin.Error{Code: admin.CodeInvalid, Message: "the file with the private key: " + err.Error()}
	}
	in.Signer = signer
	return in, nil
}

// nameCertificate returns the subject of a certificate, or its serial number if it has none.
func nameCertificate(c *x509.Certificate) string {
	if subject := c.Subject.String(); subject != "" {
		return subject
	}
	return "serial number " + c.SerialNumber.Text(16)
}

// stepError converts a refusal to an Error with suggestions.
func stepError(err error) error {
	var refused *rotation.RefusedError
	var foreign *certs.ImportError
	switch {
	case errors.As(err, &foreign):
		return &admin.Error{Code: admin.CodeRefused, Message: foreign.Error()}
	case errors.As(err, &refused):
		return renderRefusal(refused)
	}
	return err
}

// renderRefusal renders a refusal of the rotation.
func renderRefusal(refused *rotation.RefusedError) *admin.Error {
	phrases := templates.TerminalPhrases()
	reason := refused.Reason
	reason.Text = phrases.Reason(reason)
	return &admin.Error{Code: admin.CodeRefused, Message: phrases.Refusal(refused), Users: reason.Args.SPs, Reason: &reason, Suggestions: refused.Suggestions}
}

// describeRotationChange describes the outcome of a step for operators.
func (s *Service) describeRotationChange(ctx context.Context, o *rotator.Outcome) (c RotationChange, err error) {
	c = RotationChange{DryRun: o.DryRun, Steps: copyList(o.Steps), CutOff: o.CutOffSPs}
	templates.TerminalPhrases().FillSteps(c.Steps)
	c.Changed, c.Unchanged = compareStatus(o.Before, o.After)
	b, err := s.Board.Board(ctx)
	if err != nil {
		return c, err
	}
	after := o.After
	if !o.DryRun {
		if after, err = s.Rotation.Status(ctx, b.CountUnmoved()); err != nil {
			return c, err
		}
	}
	c.Status = describeStatus(after, b, s.Rotation.Policy)
	return c, nil
}
