package ops

import (
	"context"
	"errors"

	"vernal/idp/admin"
	"vernal/idp/doctor"
	"vernal/templates"
)

// ExamineRequest asks for the checks of the installation.
type ExamineRequest struct {
	// SendTest also sends a test mail to the operators and a test call to the webhook.
	SendTest bool `json:"send_test,omitempty"`
}

// Examine checks the installation and its surroundings.
var Examine = declare("doctor/examine", func(s *Service, ctx context.Context, _ admin.Caller, req ExamineRequest) (*doctor.Report, error) {
	if s.Doctor == nil {
		return nil, invalidError("this installation is not checked")
	}
	report, err := s.Doctor.Examine(ctx, doctor.Options{SendTest: req.SendTest})
	if errors.Is(err, doctor.ErrTestTooSoon) {
		return nil, &admin.Error{Code: admin.CodeRefused, Message: err.Error() + ": wait, then repeat"}
	}
	if err != nil {
		return nil, err
	}
	report.Render(templates.TerminalPhrases())
	return report, nil
})
